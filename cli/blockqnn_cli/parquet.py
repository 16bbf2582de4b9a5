"""The trials of a history as Parquet, for tools that analyse them."""

import io
from collections.abc import Sequence

from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.errors import CommandError
from blockqnn_cli.trials import COLUMNS


def as_parquet(records: Sequence[TrialRecord]) -> bytes:
    """Write trials as a Parquet file with the columns of the CSV; unknown values are null.

    Whole numbers are int64, others float64, texts UTF-8.

    Raises:
        CommandError: when the library for it is not installed.
    """
    try:
        from arro3.core import Array, DataType, Table
        from arro3.io import write_parquet
    except ImportError:
        raise CommandError(
            "Parquet needs a library that is not installed: pip install 'blockqnn[parquet]'. "
            "-o csv has the same columns and needs none."
        ) from None
    kinds = {int: DataType.int64(), float: DataType.float64(), str: DataType.utf8()}
    table = Table.from_pydict(
        {
            name: Array([column.of(record) for record in records], type=kinds[column.kind])
            for name, column in COLUMNS.items()
        }
    )
    file = io.BytesIO()
    write_parquet(table, file)
    return file.getvalue()

"""The trials of a history as Parquet, for tools that analyse them."""

import io
from collections.abc import Sequence

from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.errors import CommandError
from blockqnn_cli.trials import COLUMNS

MOST = 2**63 - 1
"""The largest int64."""


def as_parquet(records: Sequence[TrialRecord]) -> bytes:
    """Write trials as a Parquet file with the columns of the CSV; unknown values are null.

    Whole numbers are int64, others float64, texts UTF-8.

    Raises:
        CommandError: when the library for it is not installed, or a number is larger than int64.
    """
    try:
        from arro3.core import Array, DataType, Table
        from arro3.io import write_parquet
    except ImportError:
        raise CommandError(
            "Parquet needs a library that is not installed: pip install 'blockqnn[parquet]'. "
            "-o csv has the same columns and needs none."
        ) from None
    _check_sizes(records)
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


def _check_sizes(records: Sequence[TrialRecord]) -> None:
    """Refuse whole numbers that int64 cannot hold; a trainer may have told any."""
    for record in records:
        for name, column in COLUMNS.items():
            value = column.of(record)
            if column.kind is int and value is not None and not -MOST <= int(value) <= MOST:
                raise CommandError(
                    f"Trial {record.trial} has a number in {name} that the whole numbers of "
                    "Parquet cannot hold; -o csv writes it."
                )

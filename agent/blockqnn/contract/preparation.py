"""The message of the Job that prepares a dataset."""

from typing import Annotated, Literal, Self

from pydantic import StringConstraints

from blockqnn.contract.message import MESSAGE_LIMIT, SCHEMA_VERSION, Reason, read_message
from blockqnn.model import Model


class PreparationResult(Model):
    """Result of `blockqnn-train prepare`, in its termination message."""

    version: Literal[1] = SCHEMA_VERSION
    prepared: bool
    """True if trials can read the images now."""
    reason: Reason
    """`Prepared`, or why not: `DatasetMissing`, `DatasetInvalid`, `VolumeUnusable`,
    `DownloadFailed`, `Terminated`, `Error`."""
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)]
    """One sentence for people: the images that are ready, or the problem and its remedy."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a result from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong.
        """
        return read_message(cls, text, "The result of the preparation")

    def write(self) -> str:
        """Write the result as compact JSON that :meth:`read` accepts."""
        return self.model_dump_json()

"""The message of the Job that prepares a dataset."""

from typing import ClassVar, Literal

from blockqnn.contract import fields
from blockqnn.contract.message import SCHEMA_VERSION, Message, Reason


class PreparationResult(Message):
    """Result of `blockqnn-train prepare`, in its termination message."""

    title: ClassVar[str] = "The result of the preparation"

    version: Literal[1] = SCHEMA_VERSION
    prepared: bool
    """True if trials can read the images now."""
    reason: Reason
    """`Prepared`, or why not: `DatasetMissing`, `DatasetInvalid`, `DatasetTooLarge`,
    `VolumeUnusable`, `DownloadFailed`, `Terminated`, `Error`."""
    message: fields.Sentence
    """One sentence for people: the images that are ready, or the problem and its remedy."""

    def write(self) -> str:
        """Write the result as compact JSON that :meth:`read` accepts."""
        return self.model_dump_json()

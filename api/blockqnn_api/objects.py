"""Objects as the API server holds them: a BlockSearch, its times, the blocks of a Job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from blockqnn.contract.message import describe
from blockqnn.model import Model
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.object_fields import (
    EARLIEST,
    LARGEST_COUNT,
    LARGEST_INTEGER,
    Fields,
    read_time,
    write_time,
)

__all__ = [
    "BlockOfJob",
    "SearchObject",
    "read_blocks",
    "read_time",
    "version_of",
    "write_blocks",
    "write_time",
]


def version_of(body: Mapping[str, Any]) -> int:
    """Return an object's resource version; those of one kind grow with each write.

    The API promises this since Kubernetes 1.34; every version before it kept to it with etcd.
    """
    metadata = body.get("metadata")
    text = metadata.get("resourceVersion") if isinstance(metadata, Mapping) else None
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20
    return int(text) if isinstance(text, str) and is_number else 0


@dataclass(frozen=True, slots=True)
class SearchObject:
    """A BlockSearch as the API server holds it."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: datetime
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    deleting: bool
    version: int = 0
    """The resource version, which grows with each write."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    unreadable: str = ""
    """Reason why the spec cannot be read, if so; the spec is empty then."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read the object from its JSON.

        Raises:
            ObjectUnreadable: when not even its name can be read. All else is in `unreadable`.
        """
        metadata = Fields(body).part("metadata")
        unreadable, generation, created_at, status = "", 0, None, body.get("status")
        spec: Mapping[str, Any] = {}
        annotations: Mapping[str, str] = {}
        labels: Mapping[str, str] = {}
        try:
            generation = metadata.integer("generation", low=0, high=LARGEST_INTEGER)
            created_at = metadata.time("creationTimestamp")
            annotations = metadata.texts("annotations")
            labels = metadata.texts("labels")
            Fields(body).part("spec")
            spec = body.get("spec") or {}
        except ObjectUnreadable as error:
            unreadable = str(error)
        return cls(
            namespace=metadata.text("namespace", None),
            name=metadata.text("name", None),
            uid=metadata.text("uid", None),
            generation=generation,
            created_at=created_at or EARLIEST,
            spec=spec,
            status=status if isinstance(status, Mapping) else {},
            deleting="deletionTimestamp" in metadata,
            version=version_of(body),
            annotations=annotations,
            labels=labels,
            unreadable=unreadable,
        )

    @property
    def key(self) -> str:
        """Namespace and name, as people write them."""
        return f"{self.namespace}/{self.name}"


class BlockOfJob(Model):
    """One trial in the annotation of a Job of several trials."""

    trial: Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
    block: str
    hash: str
    failures: Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
    """Number of earlier attempts at the trial that failed."""


_BLOCKS = TypeAdapter(tuple[BlockOfJob, ...])


def write_blocks(blocks: Sequence[BlockOfJob]) -> str:
    """Write the annotation that lists the trials of a Job of several, or of its Pod."""
    return _BLOCKS.dump_json(tuple(blocks)).decode()


def read_blocks(text: str) -> tuple[BlockOfJob, ...]:
    """Read the annotation that lists the trials of a Job of several, or of its Pod.

    Raises:
        ObjectUnreadable: when it is no such list, or the list is empty.
    """
    try:
        blocks = _BLOCKS.validate_json(text)
    except ValidationError as error:
        raise ObjectUnreadable(f"the list of blocks {describe(error)}") from None
    if not blocks:
        raise ObjectUnreadable("the list of blocks is empty")
    return blocks

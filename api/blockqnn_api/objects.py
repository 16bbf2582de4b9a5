"""Objects as the API server holds them: a BlockSearch, its times, the blocks of a Job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from blockqnn.model import Model
from blockqnn_api import names


def version_of(body: Mapping[str, Any]) -> int:
    """Return an object's resource version; those of one kind grow with each write.

    The API promises this since Kubernetes 1.34; every version before it kept to it with etcd.
    """
    text = body["metadata"].get("resourceVersion", "0")
    return int(text) if text.isdigit() else 0


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

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read the object from its JSON."""
        metadata = body["metadata"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            created_at=read_time(metadata["creationTimestamp"]),
            spec=body.get("spec", {}),
            status=body.get("status", {}),
            deleting="deletionTimestamp" in metadata,
            version=version_of(body),
            annotations=metadata.get("annotations") or {},
            labels=metadata.get("labels") or {},
        )

    @property
    def key(self) -> str:
        """Namespace and name, as people write them."""
        return f"{self.namespace}/{self.name}"


class BlockOfJob(Model):
    """One trial in the annotation of a Job of several trials."""

    trial: Annotated[int, Field(ge=0)]
    block: str
    hash: str
    failures: Annotated[int, Field(ge=0)]
    """Number of earlier attempts at the trial that failed."""


_BLOCKS = TypeAdapter(tuple[BlockOfJob, ...])


def write_blocks(blocks: Sequence[BlockOfJob]) -> str:
    """Write the annotation that lists the trials of a Job of several, or of its Pod."""
    return _BLOCKS.dump_json(tuple(blocks)).decode()


def read_blocks(annotations: Mapping[str, str]) -> tuple[BlockOfJob, ...]:
    """Read the trials of a Job of several, or of its Pod; empty without a valid annotation."""
    try:
        return _BLOCKS.validate_json(annotations.get(names.BLOCKS_ANNOTATION, "[]"))
    except ValidationError:
        return ()


def time_or_none(text: str | None) -> datetime | None:
    """Read a time as :func:`read_time` does; None where there is none."""
    return read_time(text) if text else None


def read_time(text: str) -> datetime:
    """Read a time as Kubernetes writes it, such as ``2020-01-31T12:00:00Z``."""
    return datetime.fromisoformat(text)


def write_time(moment: datetime) -> str:
    """Write a time as Kubernetes does, to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

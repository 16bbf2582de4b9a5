"""A Job or Pod of ours with a field that cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from blockqnn_api import names
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.object_fields import Fields
from blockqnn_operator.core.observed.job import owner_of


@dataclass(frozen=True, slots=True)
class UnreadableObject:
    """The identity of an object that cannot be read, and the reason."""

    kind: str
    """``Job`` or ``Pod``."""
    name: str
    owner_uid: str
    """The uid of what owns it; empty where that cannot be read either."""
    problem: str
    """The field, and what is wrong with it, as a clause."""

    @classmethod
    def read(cls, body: Mapping[str, Any], kind: str, problem: str) -> Self:
        """Read the identity of an object.

        Raises:
            ObjectUnreadable: when it has no name.
        """
        metadata = Fields(body).part("metadata")
        try:
            owner = owner_of(metadata)
        except ObjectUnreadable:
            owner = ""
        return cls(kind, metadata.text("name", None), owner or "", problem)

    def is_of(self, search_uid: str) -> bool:
        """Return whether it belongs to a search, as far as can be told; a Pod belongs to a Job."""
        return self.kind != "Job" or self.owner_uid in ("", search_uid)

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.name} cannot be read: {self.problem}. Correct the field, or delete "
            f"the {self.kind}."
        )


def search_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return namespace and name of the search that an object belongs to, by its label.

    Raises:
        ObjectUnreadable: when it names none.
    """
    metadata = Fields(body).part("metadata")
    return metadata.text("namespace"), metadata.part("labels").text(names.SEARCH_LABEL, None)

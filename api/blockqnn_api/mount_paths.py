"""Paths at which volumes are mounted in the trainer's container, and which of them cannot be."""

import posixpath
import re
from collections.abc import Iterator

from blockqnn_api.errors import FieldPath, InvalidSearch, write_path, write_value
from blockqnn_api.finalist_targets import goals_of
from blockqnn_api.spec import BlockSearchSpec

SCRATCH_PATH = "/tmp"
"""Directory of the trainer's temporary files; every Pod has a volume of its own there."""

_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f:]+")


def check_mount_paths(settings: BlockSearchSpec, *, begun: bool) -> None:
    """Check that the volumes of a search can be mounted where it asks for.

    Kubernetes and the container runtime judge only the Pods, in words that name no field of the
    search.

    Args:
        settings: the search.
        begun: whether it has begun; then a relative path is no error, since kubelets make it
            absolute.

    Raises:
        InvalidSearch: naming the field.
    """
    finalists = settings.finalists
    taken = None if finalists is None else posixpath.normpath(finalists.path)
    for field, path, is_finalists in _mounts(settings):
        where = write_path(("spec", *field))
        normal = posixpath.normpath(path)
        mountable = _PRINTABLE.fullmatch(path) and (begun or path.startswith("/"))
        if not mountable or normal in ("/", "//", SCRATCH_PATH):
            raise InvalidSearch(
                f"{where} is {write_value(path)}, and no volume can be mounted there; write an "
                f"absolute path besides / and {SCRATCH_PATH}, without colons."
            )
        if normal == taken and not is_finalists:
            raise InvalidSearch(
                f"{where} is {write_value(path)}, where the finalists' volume is mounted, too; "
                "change spec.finalists.path, or write another path."
            )


def _mounts(settings: BlockSearchSpec) -> Iterator[tuple[FieldPath, str, bool]]:
    """Yield each path at which a volume is mounted, with its field."""
    if settings.dataset.volume is not None:
        yield ("dataset", "path"), settings.dataset.path, False
    if settings.finalists is None:
        return
    yield ("finalists", "path"), settings.finalists.path, True
    for number, target in enumerate(goals_of(settings)[1:]):
        if target.dataset.volume is not None and settings.finalists.targets[number].dataset:
            field = ("finalists", "targets", number, "dataset", "path")
            yield field, target.dataset.path, False

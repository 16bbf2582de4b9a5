"""Paths at which volumes are mounted in the trainer's container, and which of them cannot be."""

import posixpath
import re
from collections.abc import Iterator

from blockqnn_api.errors import FieldPath, InvalidSearch, write_path, write_value
from blockqnn_api.spec import BlockSearchSpec

SCRATCH_PATH = "/tmp"
"""Directory of the trainer's temporary files; every Pod has a volume of its own there."""

_OWN_IMAGES: FieldPath = ("dataset", "path")
_FINALISTS: FieldPath = ("finalists", "path")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f:]+")


def check_mount_paths(settings: BlockSearchSpec, *, begun: bool) -> None:
    """Check that the volumes of a search can be mounted where it asks for.

    Kubernetes and the container runtime judge only the Pods, in words that name no field of the
    search.

    Args:
        settings: the search.
        begun: whether it has begun; then a relative path of its own images, which cannot change, is
            no error, since kubelets make it absolute.

    Raises:
        InvalidSearch: naming the field.
    """
    finalists = settings.finalists
    taken = None if finalists is None else posixpath.normpath(finalists.path)
    for field, path in _mounts(settings):
        where = write_path(("spec", *field))
        normal = posixpath.normpath(path)
        may_be_relative = begun and field == _OWN_IMAGES
        mountable = _PRINTABLE.fullmatch(path) and (may_be_relative or path.startswith("/"))
        if not mountable or normal in ("/", "//", SCRATCH_PATH):
            raise InvalidSearch(
                f"{where} is {write_value(path)}, and no volume can be mounted there; write an "
                f"absolute path besides / and {SCRATCH_PATH}, without colons."
            )
        if normal == taken and field != _FINALISTS:
            raise InvalidSearch(
                f"{where} is {write_value(path)}, where the finalists' volume is mounted, too; "
                "change spec.finalists.path, or write another path."
            )


def _mounts(settings: BlockSearchSpec) -> Iterator[tuple[FieldPath, str]]:
    """Yield each path at which a volume is mounted, with its field."""
    if settings.dataset.volume is not None:
        yield _OWN_IMAGES, settings.dataset.path
    if settings.finalists is None:
        return
    yield _FINALISTS, settings.finalists.path
    for number, target in enumerate(settings.finalists.targets):
        if target.dataset is not None and target.dataset.volume is not None:
            yield ("finalists", "targets", number, "dataset", "path"), target.dataset.path

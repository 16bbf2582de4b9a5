"""Volumes are mounted where Kubernetes can mount them; all else is refused with its field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import make_spec

from blockqnn_api.errors import InvalidSearch
from blockqnn_api.mount_paths import check_mount_paths
from blockqnn_api.resolve import pin, resolve

HOST = {"hostPath": {"path": "/files"}}

Spec = dict[str, Any]


def images(path: str) -> Spec:
    return make_spec(dataset={"name": "npz", "path": path, "volume": HOST})


def models(path: str) -> Spec:
    return make_spec(finalists={"volume": HOST, "path": path})


def target(path: str) -> Spec:
    dataset = {"name": "npz", "path": path, "volume": HOST}
    return make_spec(finalists={"volume": HOST, "targets": [{"name": "a", "dataset": dataset}]})


FIELDS = {
    "spec.dataset.path": images,
    "spec.finalists.path": models,
    "spec.finalists.targets[0].dataset.path": target,
}

names = st.text(st.characters(codec="utf-8", exclude_characters="/:", exclude_categories=["C"]))


@pytest.mark.parametrize("field", FIELDS)
@given(st.lists(names.filter(lambda name: name not in ("", ".", "..")), min_size=2, max_size=4))
def test_absolute_paths_are_accepted(field: str, steps: list[str]) -> None:
    path = f"/{'/'.join(steps)}"[:512]
    check_mount_paths(resolve(FIELDS[field](path)), begun=False)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "path",
    ["/", "//", "/tmp", "/tmp/", "/a/../tmp", "/a/..", "here", "./a", "../a", "/a:b", "/a\0", "\n"],
)
def test_other_paths_are_refused_by_their_field(field: str, path: str) -> None:
    with pytest.raises(InvalidSearch) as caught:
        resolve(FIELDS[field](path))
    assert str(caught.value).startswith(f"{field} is ")
    assert "write an absolute path" in str(caught.value)


@pytest.mark.parametrize("path", ["/finalists", "/finalists/", "/a/../finalists"])
def test_images_are_not_mounted_where_the_finalists_are(path: str) -> None:
    with pytest.raises(InvalidSearch, match=r"dataset\.path is .* change spec\.finalists\.path"):
        resolve(target(path))


def test_a_path_without_a_volume_is_not_mounted() -> None:
    assert resolve(make_spec(dataset={"name": "npz", "path": "images"})).dataset.path == "images"


def test_a_search_that_has_begun_may_have_a_relative_path() -> None:
    pinned = pin(resolve(images("/images")))
    assert resolve(images("images"), pinned).dataset.volume == HOST
    with pytest.raises(InvalidSearch, match="write an absolute path"):
        resolve(images("/tmp"), pinned)

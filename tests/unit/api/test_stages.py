"""Networks with more stages than their images allow, which no training survives."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn_api.errors import InvalidSearch
from blockqnn_api.finalist_targets import check_stages
from blockqnn_api.resolve import pin, resolve
from blockqnn_api.spec import BlockSearchSpec


def spec(stages: int, **dataset: Any) -> dict[str, Any]:
    return {"dataset": {"name": "digits", **dataset}, "network": {"filters": [8] * stages}}


def survives(height: int, width: int, stages: int) -> bool:
    for _ in range(stages - 1):
        height, width = height // 2, width // 2
    return min(height, width) >= 1


@given(st.integers(1, 8), st.integers(1, 300), st.integers(1, 300))
@settings(deadline=None)
def test_a_search_is_refused_if_a_stage_would_have_no_pixel(
    stages: int, height: int, width: int
) -> None:
    shape = {"channels": 1, "height": height, "width": width, "classes": 2}
    search = spec(stages, name="npz", shape=shape)
    if survives(height, width, stages):
        assert len(resolve(search).network.filters) == stages
    else:
        with pytest.raises(InvalidSearch, match=f"of {height}x{width} pixels allow only"):
            resolve(search)


def test_the_sentence_says_what_to_change() -> None:
    with pytest.raises(InvalidSearch) as caught:
        resolve(spec(5))
    assert str(caught.value) == (
        "spec.network.filters has 5 stages, between which the image is halved, but images of 8x8 "
        "pixels allow only 4; give at most 4 filters."
    )


def test_images_that_are_scaled_have_the_size_they_are_scaled_to() -> None:
    with pytest.raises(InvalidSearch, match=r"4x4 pixels allow only 3; .*, or a larger imageSize"):
        resolve(spec(4, name="imagefolder", imageSize=4))
    assert resolve(spec(8, name="imagefolder"))


FINALISTS = [
    ({"network": {"filters": [8] * 5}}, "spec.finalists.network.filters has 5 stages"),
    (
        {"network": {"stem": "ImageNet"}},
        "2x2 pixels after the stem ImageNet allow only 2; give at most 2 filters, or the stem",
    ),
    (
        {"targets": [{"name": "a"}, {"name": "b", "network": {"filters": [8] * 5}}]},
        "spec.finalists.targets[1].network.filters has 5 stages",
    ),
]


@pytest.mark.parametrize(("finalists", "message"), FINALISTS)
def test_finalists_are_refused_likewise(finalists: dict[str, Any], message: str) -> None:
    search = {**spec(3), "finalists": {"volume": {"emptyDir": {}}, **finalists}}
    with pytest.raises(InvalidSearch) as caught:
        resolve(search)
    assert message in str(caught.value)


def test_a_search_that_has_begun_goes_on() -> None:
    pinned = pin(resolve(spec(4)))
    pinned["network"]["filters"] = [8] * 5
    resolved = resolve(spec(5), pinned)
    assert isinstance(resolved, BlockSearchSpec)
    with pytest.raises(InvalidSearch):
        check_stages(resolved)

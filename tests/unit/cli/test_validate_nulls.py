"""Empty fields, which the API server drops before it looks at a search."""

import json
from typing import Any

import pytest
from null_fields import Path, fields, with_field, without_field

from blockqnn_api.errors import write_path
from blockqnn_cli.validation.checks import check


def problems(spec: dict[str, Any]) -> list[str]:
    search = {"apiVersion": "blockqnn.dev/v1alpha1", "kind": "BlockSearch"}
    (checked,) = check(json.dumps({**search, "metadata": {"name": "birds"}, "spec": spec}))
    return sorted(problem.message for problem in checked.problems)


def test_there_are_many_fields() -> None:
    assert len(list(fields())) > 100


@pytest.mark.parametrize("path", list(fields()), ids=write_path)
def test_an_empty_field_is_judged_as_one_that_is_left_out(path: Path) -> None:
    assert problems(with_field(path, None)) == problems(without_field(path))


def test_an_empty_item_of_a_list_is_none() -> None:
    assert problems({"dataset": {"name": "digits"}, "network": {"filters": [None]}}) == [
        "spec.network.filters[0] is empty; it must be a whole number."
    ]

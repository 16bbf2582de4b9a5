"""Whether all of a history is there: the status says how many records were stored."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import make_search

from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history.identity import check_complete
from blockqnn_api.history.shards import FINALISTS, TRIALS

counts = st.integers(0, 100)


def is_complete(
    stored: int, status: dict[str, object], annotation: str | None = None, kind: str = TRIALS
) -> bool:
    annotations = {} if annotation is None else {"blockqnn.dev/history-accepted": annotation}
    search = replace(make_search(status=status), annotations=annotations)
    try:
        check_complete(search, stored, kind)
    except HistoryUnreadable:
        return False
    return True


@pytest.mark.parametrize(("kind", "section"), [(TRIALS, "history"), (FINALISTS, "finalists")])
@given(counts, counts)
def test_fewer_records_than_were_stored_are_refused(
    kind: str, section: str, stored: int, reported: int
) -> None:
    status: dict[str, object] = {section: {"records": reported}}
    assert is_complete(stored, status, kind=kind) == (stored >= reported)
    assert is_complete(stored, {}, kind=kind), "a status that is lost is no reason"


@given(counts, st.none() | counts | st.text(max_size=4))
def test_only_the_number_that_is_there_is_consent(stored: int, accepted: int | str | None) -> None:
    annotation = None if accepted is None else str(accepted)
    status: dict[str, object] = {"history": {"records": stored + 1}}
    assert is_complete(stored, status, annotation) == (annotation == str(stored))


@given(st.sampled_from([None, "many", {}, {"records": None}, {"records": "3"}, [1]]))
def test_a_status_that_cannot_be_read_is_no_reason(section: object) -> None:
    assert is_complete(0, {"history": section})

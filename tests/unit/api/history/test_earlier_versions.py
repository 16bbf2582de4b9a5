"""Histories that an earlier version wrote: the search goes on bit for bit.

Commit 48c94fb wrote them, from start to end. Never change the files: running searches depend on
what they show.
"""

import hashlib
import json
from typing import Any, NamedTuple

import pytest
from operator_builders import make_record
from repository_paths import FIXTURES

from blockqnn.block.nsc import Block
from blockqnn.contract.fields import MOST_SECONDS
from blockqnn.contract.message import Outcome
from blockqnn.contract.metrics import MOST_MACS, MOST_PARAMETERS
from blockqnn_api.history.finalist_record import FinalistArchive, FinalistRecord
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import Header, TrialRecord, read_lines
from blockqnn_api.resolve import resolve

HISTORIES = FIXTURES / "histories"
PREDICTED_DIGITS = 4


class History(NamedTuple):
    """A history of an earlier version, with the spec of its search."""

    spec: dict[str, Any]
    stopping_rules: str
    """SHA-256 of the rules by which its trainings might stop, in trial order."""
    header: Header
    records: tuple[TrialRecord, ...]
    lines: list[str]

    def state(self, trials: int) -> SearchState:
        """Recover the search as a restarted operator does after some trials."""
        settings = resolve(self.spec, self.header.settings)
        return SearchState.recover(self.header, settings, [], self.records[:trials])


@pytest.fixture(scope="module", params=["plain", "predictor", "evolution"])
def history(request: pytest.FixtureRequest) -> History:
    lines = (HISTORIES / f"history-48c94fb-{request.param}.jsonl").read_text().splitlines()
    begun = json.loads(lines[0])
    header, records = read_lines(lines[1:])
    return History(begun["spec"], begun["stoppingRules"], header, records, lines[1:])


def test_its_lines_are_read_and_written_alike(history: History) -> None:
    for record, line in zip(history.records, history.lines[1:], strict=True):
        assert record.write() == line
    assert Header.read(history.lines[0]) == history.header


def test_it_goes_on_with_the_same_blocks_predictions_and_rules(history: History) -> None:
    state, rules = history.state(0), hashlib.sha256()
    size = state.settings.agent.batch_size
    for first in range(0, len(history.records), size):
        written = history.records[first : first + size]
        for proposal, record in zip(state.agent.proposals(first // size), written, strict=False):
            assert (proposal.trial, str(proposal.block)) == (record.trial, record.block)
            assert proposal.hash == record.hash
            if record.outcome is not Outcome.CACHED:
                assert _rounded(proposal.expected) == (
                    record.predicted,
                    record.predicted_deviation,
                )
            stopping = [rule.model_dump(mode="json") for rule in proposal.stopping]
            rules.update(json.dumps(stopping, sort_keys=True).encode())
        state.extend(written)
    assert rules.hexdigest() == history.stopping_rules


def test_after_a_restart_at_any_iteration_it_goes_on_with_the_same_blocks(history: History) -> None:
    size = history.state(0).settings.agent.batch_size
    iterations = len(history.records) // size
    for iteration in {1, iterations // 2, iterations - 1}:
        state = history.state(iteration * size)
        proposed = [str(proposal.block) for proposal in state.agent.proposals(iteration)]
        written = history.records[iteration * size : (iteration + 1) * size]
        assert proposed[: len(written)] == [record.block for record in written]


def test_its_rewards_are_the_same(history: History) -> None:
    agent = history.state(0).agent
    for record in history.records:
        if record.outcome in (Outcome.SUCCEEDED, Outcome.INFEASIBLE):
            assert agent.reward(Block.parse(record.block), record.metrics) == record.reward


def test_the_finalists_of_an_earlier_version_are_read_and_ranked() -> None:
    lines = (HISTORIES / "finalists-48c94fb.jsonl").read_text().splitlines()
    records = [FinalistRecord.read(line) for line in lines]
    assert [record.write() for record in records] == lines
    archive = FinalistArchive()
    archive.extend(records)
    for target in ("", "svhn"):
        standings = archive.standings(target)
        assert len(standings) == 3
        assert [len(standing.records) for standing in standings] == [2, 2, 2]


def _rounded(expected: tuple[float, float] | None) -> tuple[float | None, float | None]:
    if expected is None:
        return None, None
    return round(expected[0], PREDICTED_DIGITS), round(expected[1], PREDICTED_DIGITS)


def test_records_with_numbers_beyond_today_s_bounds_are_read() -> None:
    """A trainer's 1e30 parameters were stored before there were bounds; the search goes on."""
    line = make_record().write()
    document = json.loads(line)
    document |= {"parameters": 10**30, "macs": 2**63, "seconds": {"total": 1.5e308}}
    record = TrialRecord.read(json.dumps(document))
    assert (record.parameters, record.macs) == (MOST_PARAMETERS, MOST_MACS)
    assert record.gpu_seconds == MOST_SECONDS
    assert TrialRecord.read(line) == make_record()

"""Builders of what the operator's tests are about: small values with sensible defaults."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import Seconds, TrialResult
from blockqnn.search import Proposal
from blockqnn_api.history.replay import Archive, Blueprint, LearningAgent, SearchState
from blockqnn_api.history.shards import Shard, shard_name
from blockqnn_api.history.trial_record import Header, TrialRecord
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import pin, resolve
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.trial import job_name
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob, TrialPart

NOW = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
UID = "5ea2c400-0000-4000-8000-000000000001"
TERMINAL_ALONE = "(1,7,0,0,0)"


def at(seconds: float) -> datetime:
    """The moment so many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def chain(*kernels: int) -> Block:
    """A block of convolutions, one after the other; other kernels make another network."""
    layers = [f"({i},1,{kernel},{i - 1},0)" for i, kernel in enumerate(kernels, start=1)]
    return Block.parse("".join(layers) + f"({len(kernels) + 1},7,0,0,0)")


A, B, C, D = chain(1), chain(3), chain(5), chain(1, 3)
BLOCKS = (A, B, C, D, chain(3, 1), chain(3, 3), chain(5, 1), chain(5, 3))
"""Blocks that mean eight different networks."""


def make_spec(**changes: Any) -> dict[str, Any]:
    """Manifest that a user applies: a small search; sections that are given are laid over it."""
    spec: dict[str, Any] = {
        "preset": "CVPR2018",
        "dataset": {"name": "digits"},
        "parallelism": 2,
        "budget": {"trials": 8},
        "space": {"maxLayers": 4, "startWithIdentity": False},
        "agent": {"batchSize": 4},
    }
    for section, change in changes.items():
        below = spec.get(section)
        merged = {**below, **change} if isinstance(below, dict) else change
        spec[section] = merged
    return spec


def make_search(
    spec: Mapping[str, Any] | None = None,
    *,
    name: str = "digits",
    uid: str = UID,
    generation: int = 1,
    status: Mapping[str, Any] | None = None,
) -> SearchObject:
    """A BlockSearch as it is observed."""
    return SearchObject(
        namespace="lab",
        name=name,
        uid=uid,
        generation=generation,
        created_at=NOW,
        spec=make_spec() if spec is None else spec,
        status=status or {},
        deleting=False,
    )


def make_settings(**changes: Any) -> BlockSearchSpec:
    """A resolved spec."""
    return resolve(make_spec(**changes))


def make_header(settings: BlockSearchSpec | None = None) -> Header:
    """The header of a search's history."""
    settings = settings or make_settings()
    return Header(
        operator_version="0.1.0", search_uid=UID, seed=settings.seed, settings=pin(settings)
    )


class ScriptedAgent(LearningAgent):
    """An agent that proposes given blocks, over and over; all else is as in a real one."""

    def __init__(self, blueprint: Blueprint, script: Sequence[Block]) -> None:
        super().__init__(blueprint)
        self._script = script
        self._size = blueprint.batch_size

    def proposals(self, iteration: int) -> tuple[Proposal, ...]:
        """Return the blocks of an iteration."""
        trials = range(iteration * self._size, (iteration + 1) * self._size)
        return tuple(
            make_proposal(t, self._script[t % len(self._script)], self._size) for t in trials
        )


def make_proposal(trial: int = 0, block: Block = A, batch_size: int = 4) -> Proposal:
    """A block to be tried."""
    return Proposal(trial, trial // batch_size, block, canonical_hash(block))


def make_state(
    script: Sequence[Block] = BLOCKS,
    records: Sequence[TrialRecord] = (),
    **changes: Any,
) -> SearchState:
    """A search whose agent proposes the blocks of a script, with some records in its history."""
    settings = make_settings(**changes)
    header = make_header(settings)
    text = "".join(line + "\n" for line in [header.write(), *(r.write() for r in records)])
    agent = ScriptedAgent(Blueprint.of(settings, settings.seed), script)
    state = SearchState(header, settings, [Shard(0, text, "1")], Archive(), agent)
    state.extend(records)
    return state


def make_observed(
    *jobs: TrialJob,
    pods: Sequence[TrialPod] = (),
    search: SearchObject | None = None,
    now: datetime = NOW,
) -> Observed:
    """Snapshot that a pass sees."""
    return Observed(search or make_search(), jobs, tuple(pods), now)


def make_result(trial: int = 0, block: Block = A, **changes: Any) -> TrialResult:
    """Report of a trainer."""
    outcome = changes.get("outcome", Outcome.SUCCEEDED)
    fields: dict[str, Any] = {
        "trial": trial,
        "attempt": 0,
        "block_hash": canonical_hash(block),
        "outcome": outcome,
        "reason": "Completed" if outcome is Outcome.SUCCEEDED else "SomeReason",
        "message": "" if outcome is Outcome.SUCCEEDED else "Something happened.",
        "accuracy": 0.5 if outcome is Outcome.SUCCEEDED else None,
        "seconds": Seconds(total=10.0),
    }
    return TrialResult.model_validate(fields | changes)


def make_job(
    trial: int = 0,
    block: Block = A,
    *,
    result: TrialResult | str | None = None,
    code: str | None = None,
    **changes: Any,
) -> TrialJob:
    """A trial's Job as it is observed; running unless a condition or a result says more."""
    part = TrialPart(
        trial=trial,
        block=str(block) if code is None else code,
        block_hash=changes.pop("block_hash", canonical_hash(block)),
        result=result.write() if isinstance(result, TrialResult) else result,
        failures=changes.pop("failures", changes.get("attempt", 0)),
    )
    fields: dict[str, Any] = {
        "name": job_name("digits", trial, 0),
        "owner_uid": UID,
        "parts": (part,),
        "finished_at": NOW if changes.get("condition") else None,
        "gpus": 1,
    }
    return TrialJob(**(fields | changes))


def succeeded(trial: int, block: Block = A, accuracy: float = 0.5) -> TrialJob:
    """A Job that carries a good result."""
    return make_job(trial, block, result=make_result(trial, block, accuracy=accuracy))


def failed(trial: int, block: Block = A) -> TrialJob:
    """A Job that carries the result of a failure."""
    return make_job(trial, block, result=make_result(trial, block, outcome=Outcome.FAILED))


def infeasible(trial: int, block: Block = A) -> TrialJob:
    """A Job that carries the result of an infeasible block."""
    return make_job(trial, block, result=make_result(trial, block, outcome=Outcome.INFEASIBLE))


def make_pod(
    trial: int = 0,
    *,
    message: TrialResult | str = "",
    exit_code: int | None = None,
    **changes: Any,
) -> TrialPod:
    """A Pod of a trial's Job; running unless it has an exit status."""
    fields: dict[str, Any] = {
        "name": f"{job_name('digits', trial, 0)}-x2x2x",
        "job": job_name("digits", trial, 0),
        "created_at": NOW,
        "exit_code": exit_code,
        "reason": {None: "", 0: "Completed"}.get(exit_code, "Error"),
        "message": message.write() if isinstance(message, TrialResult) else message,
    }
    return TrialPod(**(fields | changes))


def make_record(
    trial: int = 0, block: Block = A, *, code: str | None = None, **changes: Any
) -> TrialRecord:
    """A record of the history, of a succeeded trial unless told otherwise."""
    outcome = changes.get("outcome", Outcome.SUCCEEDED)
    trained = outcome is Outcome.SUCCEEDED
    fields: dict[str, Any] = {
        "trial": trial,
        "iteration": trial // 4,
        "block": code or str(block),
        "hash": canonical_hash(block),
        "outcome": outcome,
        "reason": "Completed" if trained else "SomeReason",
        "accuracy": 0.5 if trained else None,
        "reward": None if outcome is Outcome.FAILED else 50.0,
        "gpus": 1,
        "seconds": Seconds(total=10.0),
    }
    return TrialRecord.model_validate(fields | changes)


def make_shard(number: int = 0, text: str = "", version: str = "1") -> Shard:
    """A stored shard."""
    return Shard(number, text, version)


def config_map_body(number: int, text: str) -> dict[str, Any]:
    """A ConfigMap of the history, as the API server returns it."""
    metadata = {"name": shard_name("digits", number), "resourceVersion": "7"}
    return {"metadata": metadata, "data": {"records.jsonl": text}}

"""Finalists in the small world of operator_world.py: their trainers, and the operator's part.

What a finalist reaches is a function of its block, target and seed alone, so whatever happens to a
search, the history of its finalists must hold the same.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from typing import Any

from operator_world import (
    OTHER_WORDS,
    SHARD_LIMIT,
    Json,
    Operator,
    World,
    annotated,
    created,
    observed,
    pods_of,
    reached,
    reconcile,
    without_jobs,
    written,
)

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FINALIST_VARIABLE, FinalistResult, FinalistSpec
from blockqnn.contract.message import Outcome
from blockqnn_api import names
from blockqnn_api.history import shards as history
from blockqnn_api.history.finalist_record import Finalist, FinalistArchive, FinalistRecord
from blockqnn_api.history.replay import SearchState
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.finalists import FinalistPlan, FinalistState, plan_finalists
from blockqnn_operator.core.reporting.finalists import report_finalists
from blockqnn_operator.core.reporting.status import report


class FinalistFate(Enum):
    """Fate of a finalist."""

    SUCCEEDS = auto()
    SUCCEEDS_SECOND_TIME = auto()
    SAYS_NOTHING_AT_FIRST = auto()
    INFEASIBLE = auto()
    FAILS = auto()


GOOD = (
    FinalistFate.SUCCEEDS,
    FinalistFate.SUCCEEDS_SECOND_TIME,
    FinalistFate.SAYS_NOTHING_AT_FIRST,
    FinalistFate.INFEASIBLE,
)
FATES = (*GOOD, FinalistFate.SUCCEEDS, FinalistFate.SUCCEEDS_SECOND_TIME, FinalistFate.FAILS)


def finalist_fate(block_hash: str, target: str, seed: int) -> FinalistFate:
    """The fate of a training; one in seven fails for as long as the world is broken."""
    return FATES[_number(block_hash, target, seed) % len(FATES)]


def _number(*what: object) -> int:
    return int(hashlib.sha256(repr(what).encode()).hexdigest()[:8], 16)


def _words(world: World, job: Json, first: bool) -> tuple[int, str]:
    container = job["spec"]["template"]["spec"]["containers"][0]
    text = next(v["value"] for v in container["env"] if v["name"] == FINALIST_VARIABLE)
    spec = FinalistSpec.read(text)
    block_hash = canonical_hash(Block.parse(spec.block))
    seed = int(job["metadata"]["labels"][names.SEED_LABEL])
    fate = finalist_fate(block_hash, spec.target, seed)
    if fate is FinalistFate.FAILS and not world.broken:
        fate = FinalistFate.SUCCEEDS
    result = partial(
        FinalistResult,
        trial=spec.trial,
        attempt=spec.attempt,
        target=spec.target,
        seed=spec.seed,
        block_hash=block_hash,
    )
    accuracy = _number(block_hash, spec.target, seed, "accuracy") % 1000 / 1000
    good = result(outcome=Outcome.SUCCEEDED, reason="Completed", accuracy=accuracy).write()
    again = result(outcome=Outcome.FAILED, reason="Killed", message="Killed.").write()
    taken = result(outcome=Outcome.FAILED, reason="FolderTaken", message="Taken.").write()
    unfit = result(outcome=Outcome.INFEASIBLE, reason="NotFinite", message="NaN.").write()
    return {
        FinalistFate.SUCCEEDS: (0, good),
        FinalistFate.SUCCEEDS_SECOND_TIME: (137, again) if first else (0, good),
        FinalistFate.SAYS_NOTHING_AT_FIRST: (0, "" if spec.attempt == 0 else good),
        FinalistFate.INFEASIBLE: (0, unfit),
        FinalistFate.FAILS: (2, taken),
    }[fate]


OTHER_WORDS[names.FINALIST_COMPONENT] = _words


def is_finalist(job: Json) -> bool:
    """Return whether a Job trains a finalist."""
    return bool(job["metadata"]["labels"][names.COMPONENT_LABEL] == names.FINALIST_COMPONENT)


def busy_finalists(world: World) -> int:
    """Number of Pods of finalists that are running, or about to."""
    running = (name for name in world.running if is_finalist(world.jobs[name]))
    return sum(
        not any(reached(world.pods[pod]) for pod in pods_of(world, name)[-1:]) for name in running
    )


def finalists_of(world: World) -> dict[Finalist, FinalistRecord]:
    """The history of the finalists as it is stored."""
    return FinalistArchive.recover(world.finalists).records


@dataclass(frozen=True)
class Remembered:
    """Memory of an operator besides the world."""

    state: SearchState
    kept: FinalistState
    plan: FinalistPlan


def reconcile_all(
    operator: Operator, kept: FinalistState | None, past: Mapping[str, World], world: World
) -> Iterator[tuple[World, Remembered | None]]:
    """Reconcile trials, then finalists; after each request the world as it is then."""
    for later, _, _ in (passes := _Last(reconcile(operator, past, world))):
        world = later
        yield world, None
    _, state, _ = passes.last
    kept = kept or FinalistState(FinalistArchive.recover(world.finalists))
    seen = observed(operator, past["jobs"], past["pods"], world)
    jobs = read_finalists(past["jobs"])
    plan = plan_finalists(seen, state, kept, jobs, over=assess(seen, state).over)
    for later in _carried_out(plan, kept, world):
        world = later
        yield world, None
    yield world, Remembered(state, kept, plan)


class _Last:
    """An iterator that keeps its last item."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self.last: Any = None

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.last = item
            yield item


def read_finalists(world: World) -> list[FinalistJob]:
    """The Jobs of finalists as the operator sees them."""
    jobs = [FinalistJob.read(body) for body in world.jobs.values()]
    return [job for job in jobs if job is not None]


def _carried_out(plan: FinalistPlan, kept: FinalistState, world: World) -> Iterator[World]:
    for finalist in plan.annotate:
        assert finalist.job is not None
        assert finalist.assessment.annotate is not None
        text = finalist.assessment.annotate.write()
        world = annotated(world, finalist.job.name, finalist.job.part.result_annotation, text)
        yield world
    shards = list(kept.archive.shards)
    for write in history.append(shards[-1] if shards else None, plan.archive, SHARD_LIMIT):
        world = replace(world, finalists=written(world.finalists, write))
        shards[write.number :] = [world.finalists[write.number]]
        yield world
    kept.archive.shards = shards
    kept.archive.extend(plan.archive)
    for name in plan.delete:
        world = without_jobs(world, {name})
        yield world
    for preparation in plan.preparations.values():
        if preparation.create is not None:
            world = created(world, preparation.create)
            yield world
    for manifest in plan.create:
        world = created(world, manifest)
        yield world


def status_of(operator: Operator, remembered: Remembered, world: World) -> Any:
    """The status that the operator reports of the world as it is."""
    state, kept = remembered.state, remembered.kept
    seen = observed(operator, world, world, world)
    assessment = assess(seen, state)
    plan = plan_finalists(seen, state, kept, read_finalists(world), over=assessment.over)
    finalists_report = report_finalists(state, kept.archive, plan, over=assessment.over)
    return report(seen, state, assessment, finalists=finalists_report)

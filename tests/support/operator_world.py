"""A small world for the operator's core: an API server, trainers, and an operator that may crash.

Everything is a frozen value; every step returns the next one. What a trial reaches is a function of
its block's hash alone, so whatever happens to a search, its history must come out the same.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import cache, cached_property, partial
from typing import Any

from operator_builders import UID, at, make_header, make_search

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.preparation import PreparationResult
from blockqnn.contract.trial import TRIAL_VARIABLE, Seconds, TrialResult, TrialSpec
from blockqnn.contract.trial_group import TRIALS_VARIABLE, read_trials
from blockqnn_api import names
from blockqnn_api.history import shards as history
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import Shard, ShardWrite
from blockqnn_api.history.trial_record import Header, TrialRecord, read_lines
from blockqnn_api.objects import SearchObject, write_time
from blockqnn_api.resolve import resolve
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.trial_group import job_of
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.trials import Plan, plan

Json = dict[str, Any]

SHARD_LIMIT = 900
"""Two or three records: an iteration is written in several steps, and a crash may fall between."""

TICK = 0.01
"""Seconds between two steps: no search here comes near the minute that a lost Pod is waited for."""


class Conflict(Exception):
    """Somebody else wrote the history: what is remembered of it is out of date."""


class Fate(Enum):
    """Fate of every trial of a network."""

    SUCCEEDS = auto()
    SUCCEEDS_SECOND_TIME = auto()
    INFEASIBLE = auto()
    FAILS = auto()
    BAD_INPUT = auto()
    KILLED = auto()
    SAYS_NOTHING = auto()
    TALKS_NONSENSE = auto()


GOOD_FATES = (*(Fate.SUCCEEDS,) * 3, *(Fate.SUCCEEDS_SECOND_TIME,) * 2, *(Fate.INFEASIBLE,) * 2)
BAD_FATES = (Fate.FAILS, Fate.BAD_INPUT, Fate.KILLED, Fate.SAYS_NOTHING, Fate.TALKS_NONSENSE)


def fate_of(block_hash: str) -> Fate:
    """The fate of a network; five in twelve fail."""
    fates = GOOD_FATES + BAD_FATES
    return fates[int(block_hash[:8], 16) // len(fates) % len(fates)]


@dataclass(frozen=True)
class World:
    """Objects in the cluster, and the number of trials that have ended since."""

    jobs: Mapping[str, Json] = field(default_factory=dict)
    pods: Mapping[str, Json] = field(default_factory=dict)
    shards: tuple[Shard, ...] = ()
    finalists: tuple[Shard, ...] = ()
    """The history of the finalists."""
    created: tuple[str, ...] = ()
    """The names of all Jobs ever created, in order."""
    steps: int = 0
    broken: bool = False
    """The dataset cannot be prepared as it is; some finalists cannot be trained."""

    @property
    def running(self) -> list[str]:
        """The Jobs that have not ended, in the order of their names."""
        return sorted(
            name for name, body in self.jobs.items() if "conditions" not in body["status"]
        )

    @property
    def busy(self) -> int:
        """Number of Pods that are running, or about to."""
        return sum(
            not any(reached(self.pods[pod]) for pod in pods_of(self, name)[-1:])
            for name in self.running
        )

    @cached_property
    def records(self) -> tuple[TrialRecord, ...]:
        """The history as it is stored."""
        return read_lines(history.lines(self.shards))[1]


def pods_of(world: World, job: str) -> list[str]:
    """The Pods of a Job, in the order of their creation."""
    return [name for name in world.pods if name.startswith(f"{job}-")]


def reached(pod: Json) -> bool:
    """Return whether a Pod has ended in a way after which there is no other."""
    state = pod["status"]["containerStatuses"][0]["state"]
    return "terminated" in state and (
        state["terminated"]["exitCode"] in (0, 2)
        or pod["metadata"]["name"].endswith("-2")
        or pod["metadata"]["labels"]["shared"] == "true"
    )


def advance(world: World, number: int) -> World:
    """Let something happen to one of the running Jobs: a Pod starts or ends, or the Job does."""
    world = replace(world, steps=world.steps + 1)
    running = world.running
    if not running:
        return world
    name = running[number % len(running)]
    pods = pods_of(world, name)
    if pods and "running" in world.pods[pods[-1]]["status"]["containerStatuses"][0]["state"]:
        return _end_pod(world, world.jobs[name], pods[-1])
    if pods and reached(world.pods[pods[-1]]):
        return _end_job(world, name, world.pods[pods[-1]])
    return _start_pod(world, name, len(pods))


def _start_pod(world: World, job: str, attempt: int) -> World:
    name = f"{job}-{attempt}"
    body = {
        "metadata": {
            "name": name,
            "creationTimestamp": at(world.steps * TICK).isoformat(),
            "labels": {
                names.JOB_NAME_LABEL: job,
                "shared": str(is_shared(world.jobs[job])).lower(),
            },
        },
        "status": _container({"running": {}}),
    }
    return replace(world, pods={**world.pods, name: body})


OTHER_WORDS: dict[str, Callable[[World, Json, bool], tuple[int, str]]] = {}
"""Message of a Pod of another component, by its Job and whether it is its first Pod."""


def _end_pod(world: World, job: Json, name: str) -> World:
    first = name.endswith("-0")
    component = job["metadata"]["labels"][names.COMPONENT_LABEL]
    if component in OTHER_WORDS:
        exit_code, message = OTHER_WORDS[component](world, job, first)
    elif is_shared(job):
        exit_code, message = _words_of_group(job)
    elif is_preparation(job):
        exit_code, message = _words_of_preparation(broken=world.broken, first=first)
    else:
        exit_code, message = _last_words(job, first=first)
    terminated = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed"}
    if message:
        terminated["message"] = message
    body = {**world.pods[name], "status": _container({"terminated": terminated})}
    world = replace(world, pods={**world.pods, name: body})
    if exit_code:
        status = {**job["status"], "failed": job["status"].get("failed", 0) + 1}
        world = _with_job(world, {**job, "status": status})
    return world


def _container(state: Json) -> Json:
    return {"containerStatuses": [{"name": names.CONTAINER, "state": state}]}


def is_shared(job: Json) -> bool:
    """Return whether a Job trains several blocks."""
    return names.BLOCKS_ANNOTATION in job["metadata"]["annotations"]


def drained(world: World, number: int, done: int) -> World:
    """End the Pod of a Job of several trials when some of them, at most, have their results."""
    shared = [name for name in world.running if is_shared(world.jobs[name])]
    pods = [pod for name in shared for pod in pods_of(world, name) if not reached(world.pods[pod])]
    if not pods:
        return world
    name = pods[number % len(pods)]
    pod, job = world.pods[name], world.jobs[name.rpartition("-")[0]]
    _, message = _words_of_group(job, done)
    body = {
        "metadata": {**pod["metadata"], "deletionTimestamp": at(world.steps * TICK).isoformat()},
        "status": _container({"terminated": {"exitCode": 143, "message": message}}),
    }
    world = replace(world, pods={**world.pods, name: body}, steps=world.steps + 1)
    return _with_job(world, {**job, "status": {**job["status"], "failed": 1}})


def _words_of_group(job: Json, most: int = 99) -> tuple[int, str]:
    """Exit status and message of a trainer of several blocks, which stops at the first failure."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    text = next(v["value"] for v in container["env"] if v["name"] == TRIALS_VARIABLE)
    blocks = json.loads(job["metadata"]["annotations"][names.BLOCKS_ANNOTATION])
    exit_code, said = 0, []
    for spec, block in list(zip(read_trials(text), blocks, strict=True))[:most]:
        exit_code, words = _words_of(spec, first=block["failures"] == 0)
        if words:
            valid = words.startswith("{")
            said.append(json.loads(words) if valid else {"trial": spec.trial, "outcome": words})
        if exit_code:
            break
    return exit_code, json.dumps({"version": 1, "results": said}) if said else ""


def is_preparation(job: Json) -> bool:
    """Return whether a Job prepares the dataset."""
    return bool(job["metadata"]["labels"][names.COMPONENT_LABEL] == names.PREPARATION_COMPONENT)


def _words_of_preparation(*, broken: bool, first: bool) -> tuple[int, str]:
    """Exit status and message: the first download always fails, the second never does."""
    exit_code, reason = (2, "DatasetInvalid") if broken else (0, "Prepared")
    if first and not broken:
        exit_code, reason = 1, "DownloadFailed"
    result = PreparationResult(prepared=not exit_code, reason=reason, message="So it is.")
    return exit_code, result.write()


def _last_words(job: Json, *, first: bool) -> tuple[int, str]:
    """Exit status and message of a trainer: a function of the block, and of which Pod it is."""
    container = job["spec"]["template"]["spec"]["containers"][0]
    spec = TrialSpec.read(next(v["value"] for v in container["env"] if v["name"] == TRIAL_VARIABLE))
    return _words_of(spec, first=first)


def _words_of(spec: TrialSpec, *, first: bool) -> tuple[int, str]:
    block_hash = canonical_hash(Block.parse(spec.block))
    result = partial(
        TrialResult,
        trial=spec.trial,
        attempt=spec.attempt,
        block_hash=block_hash,
        seconds=Seconds(total=10.0),
    )
    failure = result(
        outcome=Outcome.FAILED,
        reason="Error",
        message="First." if first else "Later.",
    ).write()
    share = int(block_hash[8:], 16) / 0xFFFFFFFF
    good = result(outcome=Outcome.SUCCEEDED, reason="Completed", accuracy=share).write()
    unfit = result(outcome=Outcome.INFEASIBLE, reason="NotFinite", message="NaN.").write()
    return {
        Fate.SUCCEEDS: (0, good),
        Fate.SUCCEEDS_SECOND_TIME: (1, failure) if first else (0, good),
        Fate.INFEASIBLE: (0, unfit),
        Fate.FAILS: (1, failure),
        Fate.BAD_INPUT: (2, failure),
        Fate.KILLED: (137, ""),
        Fate.SAYS_NOTHING: (0, ""),
        Fate.TALKS_NONSENSE: (0, "Done!"),
    }[fate_of(block_hash)]


def _end_job(world: World, name: str, pod: Json) -> World:
    exit_code = pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
    reason = {0: "", 2: "PodFailurePolicy"}.get(exit_code, "BackoffLimitExceeded")
    condition = {
        "type": "Failed" if exit_code else "Complete",
        "status": "True",
        "reason": reason,
        "message": f"{reason}." if reason else "",
        "lastTransitionTime": write_time(at(world.steps * TICK)),
    }
    body = world.jobs[name]
    return _with_job(world, {**body, "status": {**body["status"], "conditions": [condition]}})


def _with_job(world: World, body: Json) -> World:
    return replace(world, jobs={**world.jobs, body["metadata"]["name"]: body})


def without_jobs(world: World, gone: set[str]) -> World:
    """Delete Jobs; their Pods go with them."""
    return replace(
        world,
        jobs={name: body for name, body in world.jobs.items() if name not in gone},
        pods={
            name: body
            for name, body in world.pods.items()
            if body["metadata"]["labels"][names.JOB_NAME_LABEL] not in gone
        },
    )


@dataclass(frozen=True)
class Operator:
    """The operator as a process: what it remembers can be lost at any step."""

    spec: Mapping[str, Any]
    state: SearchState | None = None

    @property
    def search(self) -> SearchObject:
        """The object that it reconciles."""
        return make_search(self.spec)


@cache
def _resolved(spec: str, pinned: str) -> BlockSearchSpec:
    return resolve(json.loads(spec), json.loads(pinned))


def resolved(spec: Mapping[str, Any], header: Header) -> BlockSearchSpec:
    """The settings of a search, resolved once for each spec: most of a pass goes into it here."""
    return _resolved(json.dumps(spec), json.dumps(header.settings))


def recovered(spec: Mapping[str, Any], world: World) -> SearchState:
    """The state as it is read from the stored history."""
    header, records = read_lines(history.lines(world.shards))
    return SearchState.recover(header, resolved(spec, header), world.shards, records)


def new_world(spec: Mapping[str, Any]) -> World:
    """A world in which a search has just begun its history."""
    return stored(World(), history.start(make_header(resolve(spec))))


def observed(operator: Operator, jobs: World, pods: World, now: World) -> Observed:
    """View of the operator: Jobs and Pods as they were at some time, each on its own."""
    read_jobs = [TrialJob.read(body) for body in jobs.jobs.values()]
    read_pods = [TrialPod.read(body) for body in pods.pods.values()]
    preparations = [PreparationJob.read(body) for body in jobs.jobs.values()]
    return Observed(
        search=operator.search,
        jobs=tuple(job for job in read_jobs if job is not None),
        pods=tuple(pod for pod in read_pods if pod is not None),
        now=at(now.steps * TICK),
        preparations=tuple(job for job in preparations if job is not None),
    )


def reconcile(
    operator: Operator, past: Mapping[str, World], world: World
) -> Iterator[tuple[World, SearchState, Plan]]:
    """Decide and act, one request at a time; after each the world as it is then.

    Args:
        operator: the process; its state is recovered first if it has none.
        past: the worlds from which it sees the ``jobs`` and the ``pods``.
        world: the world as it is.
    """
    state = operator.state or recovered(operator.spec, world)
    state.settings = resolved(operator.spec, state.header)
    seen = observed(operator, past["jobs"], past["pods"], world)
    decided = plan(seen, state, assess(seen, state))
    yield world, state, decided
    for later in _carried_out(operator, decided, state, world):
        yield later, state, decided


def _carried_out(
    operator: Operator, decided: Plan, state: SearchState, world: World
) -> Iterator[World]:
    for trial in decided.annotate:
        assert trial.job is not None
        assert trial.part is not None
        assert trial.to_annotate is not None
        text = trial.to_annotate.write()
        world = annotated(world, trial.job.name, trial.part.result_annotation, text)
        yield world
    writes = history.append(state.shards[-1], decided.archive, SHARD_LIMIT)
    shards = list(state.shards)
    for write in writes:
        world = stored(world, write)
        shards[write.number :] = [world.shards[write.number]]
        yield world
    state.shards = shards
    state.extend(decided.archive)
    cleanup = decided.cleanup
    for name in cleanup.keep:
        world = kept(world, name)
        yield world
    for name in cleanup.delete:
        world = without_jobs(world, {name})
        yield world
    for iteration in cleanup.delete_iterations:
        world = without_jobs(world, set(selected(world, iteration)))
        yield world
    if decided.assessment.preparation.create is not None:
        world = created(world, decided.assessment.preparation.create)
        yield world
    for trials in decided.create:
        world = created(world, job_of(operator.search, state.settings, trials))
        yield world


def annotated(world: World, job: str, annotation: str, text: str) -> World:
    """Annotate a Job; one that is gone is no error."""
    body = world.jobs.get(job)
    if body is None:
        return world
    annotations = {**body["metadata"]["annotations"], annotation: text}
    return _with_job(world, {**body, "metadata": {**body["metadata"], "annotations": annotations}})


def kept(world: World, name: str) -> World:
    """Label a Job as one that stays."""
    body = world.jobs.get(name)
    if body is None:
        return world
    labels = {**body["metadata"]["labels"], names.ARCHIVED_LABEL: "true"}
    return _with_job(world, {**body, "metadata": {**body["metadata"], "labels": labels}})


def selected(world: World, iteration: int) -> Iterator[str]:
    """Yield the Jobs of an iteration that are not to stay."""
    for name, body in world.jobs.items():
        labels = body["metadata"]["labels"]
        if (
            labels.get(names.ITERATION_LABEL) == str(iteration)
            and names.ARCHIVED_LABEL not in labels
        ):
            yield name


def stored(world: World, write: ShardWrite) -> World:
    """Write a shard of the trials' history."""
    return replace(world, shards=written(world.shards, write))


def written(shards: tuple[Shard, ...], write: ShardWrite) -> tuple[Shard, ...]:
    """Write a shard as the API server does: created once, replaced only by who has read it."""
    if write.replaces is None:
        if write.number < len(shards):
            raise Conflict
        return (*shards, Shard(write.number, write.text, f"{write.number}00"))
    current = shards[write.number]
    if current.resource_version != write.replaces:
        raise Conflict
    stored = Shard(write.number, write.text, str(int(current.resource_version) + 1))
    return (*shards[: write.number], stored, *shards[write.number + 1 :])


def created(world: World, manifest: Json) -> World:
    """Create a Job; one of the same name stays as it is, which is no error."""
    metadata = manifest["metadata"]
    assert metadata["ownerReferences"][0]["uid"] == UID
    if metadata["name"] in world.jobs:
        return world
    world = replace(world, created=(*world.created, metadata["name"]))
    return _with_job(world, {**manifest, "status": {}})

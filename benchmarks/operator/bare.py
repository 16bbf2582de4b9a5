"""The bare loop: create a Job, wait until it is complete, create the next. Nothing else.

It bounds what any operator can reach on a control plane. It deletes nothing and keeps nothing.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field

from benchmarks.operator.api import Api
from benchmarks.operator.fixtures import Json, random_search
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import Shard
from blockqnn_api.history.trial_record import Header
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import pin, resolve
from blockqnn_operator.core.jobs.trial import trial_job
from blockqnn_operator.shell.kubernetes.client import jobs_path

CREATORS = 20
"""Requests at a time, as many as the operator's."""


@dataclass
class Bare:
    """Result of the bare loop."""

    trials: int
    seconds: float
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Processor time of each trial, by program."""

    @property
    def rate(self) -> float:
        """Trials a second."""
        return self.trials / self.seconds


def template() -> Json:
    """Return the Job of a trial as the operator would create it, without an owner."""
    manifest = random_search("bare", 1, 1)
    metadata = {"namespace": "bare", "uid": "none", "creationTimestamp": "2024-05-01T12:00:00Z"}
    owner = SearchObject.read({**manifest, "metadata": manifest["metadata"] | metadata})
    settings = resolve(owner.spec)
    header = Header(operator_version="0", search_uid="none", seed=0, settings=pin(settings))
    state = SearchState.recover(header, settings, [Shard(0, "", "0")], ())
    body = trial_job(owner, settings, state.agent.proposals(0)[0])
    del body["metadata"]["ownerReferences"]
    return body


async def run(api: Api, namespace: str, trials: int, parallelism: int) -> Bare:
    """Create so many Jobs, at most ``parallelism`` incomplete at a time; wait for all of them."""
    body = template()
    body["metadata"]["namespace"] = namespace
    text = json.dumps(body)
    slots, left = asyncio.Semaphore(parallelism), trials
    done = asyncio.Event()
    numbers = iter(range(trials))

    def completed() -> None:
        nonlocal left
        left -= 1
        slots.release()
        if left == 0:
            done.set()

    async def create() -> None:
        for number in numbers:
            await slots.acquire()
            job = json.loads(text)
            job["metadata"]["name"] = f"bare-{number:05d}"
            await api.request("POST", jobs_path(namespace), job)

    async with api.additions(jobs_path(namespace), completed, fields="status.successful=1"):
        start = time.monotonic()
        await asyncio.gather(*(create() for _ in range(CREATORS)))
        await done.wait()
        return Bare(trials, time.monotonic() - start)

"""A search while everything around it fails at random, and what its history must be.

Two operators serve the same namespace. They are killed, the API server and etcd are taken away,
Pods and Jobs are deleted. Each may have a road of its own to the API server, which is slow, full,
late or closed for a while. The faults follow from a seed; when they strike depends on the
machine.
"""

import contextlib
import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api_road import FINE, ApiRoad, Weather
from custom_trainer import result_of
from searching import OPERATOR_USER, Operator, Searching, install

from blockqnn.contract.trial import TRIAL_VARIABLE
from blockqnn_api import names
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import Shard
from blockqnn_api.history.trial_record import Header, TrialRecord
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import pin, resolve
from blockqnn_devcluster import DevCluster
from blockqnn_operator.core.jobs.trial import trial_job
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.trials import plan

STORM = 2
"""Faults for each trial of an iteration; after them it is calm until the iteration is over."""

CALM_SECONDS = 0.5
"""Time between two looks at a search in the calm."""

LOOKS = 60
"""Looks in the calm after which the Job controller starts anew.

One that was cut off from the API server may see no change of a Job for up to five minutes. Its
writes are refused until then as those of an older version, and the Job gets no Pod (once in about
five runs of the short test, with Kubernetes 1.34).
"""

WEATHERS = {
    "slow answers": Weather(answer_seconds=2.0),
    "throttled": Weather(throttled=True),
    "cache behind": Weather(event_seconds=3.0),
    "parted": Weather(parted=True),
    "compacted": Weather(compacted=True),
}
"""States of the road to the API server."""

SHORTEST_WEATHER, LONGEST_WEATHER = 2.0, 15.0
"""Seconds that such a state lasts."""

UNTOLD = {"seconds", "attempt"}
"""Fields that may differ between a disturbed and an undisturbed run: timings and attempts."""


def undisturbed(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of a search in which nothing goes wrong, without a cluster."""
    search = SearchObject.read(
        {
            **manifest,
            "metadata": {
                "name": manifest["metadata"]["name"],
                "namespace": "nowhere",
                "uid": "none",
                "creationTimestamp": "2024-05-01T12:00:00Z",
            },
        }
    )
    settings = resolve(search.spec)
    header = Header(
        operator_version="0", search_uid="none", seed=settings.seed, settings=pin(settings)
    )
    state = SearchState.recover(header, settings, [Shard(0, "", "0")], ())
    jobs: dict[int, TrialJob] = {}
    while len(state.archive) < settings.budget.trials:
        seen = Observed(search, tuple(jobs.values()), (), search.created_at)
        decided = plan(seen, state, assess(seen, state))
        state.extend(decided.archive)
        for (trial,) in decided.create:
            body = trial_job(search, settings, trial.proposal)
            (container,) = body["spec"]["template"]["spec"]["containers"]
            (specification_text,) = [
                v["value"] for v in container["env"] if v["name"] == TRIAL_VARIABLE
            ]
            result = json.dumps(result_of(json.loads(specification_text)))
            body["metadata"]["annotations"][names.RESULT_ANNOTATION] = result
            job = TrialJob.read(body)
            assert job is not None
            jobs[trial.number] = job
        jobs = {number: job for number, job in jobs.items() if number >= len(state.archive)}
    return comparable(state.archive.records)


def comparable(records: list[TrialRecord]) -> list[dict[str, Any]]:
    return [record.model_dump(exclude=UNTOLD) for record in records]


@dataclass
class Chaos:
    """A search under faults, in a cluster of its own."""

    cluster: DevCluster
    folder: Path
    """Holds the operators' logs and temporary files; its path must be short, for sockets."""
    seed: int
    roads: bool = False
    """True for a road of its own to the API server for each operator; it takes more time."""
    faults: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        install(self.cluster)
        self.cluster.kubectl("create", "namespace", "chaos")
        kubeconfig = self.cluster.kubeconfig_for(OPERATOR_USER)
        folders = [self.folder / f"operator-{number}" for number in range(2)]
        for folder in folders:
            folder.mkdir()
        self._roads = [ApiRoad(kubeconfig, folder) for folder in folders if self.roads]
        used = [road.kubeconfig for road in self._roads] or [kubeconfig, kubeconfig]
        self._operators = [
            Operator(path, "chaos", folder / "operator.log")
            for path, folder in zip(used, folders, strict=True)
        ]
        self.searching = Searching(self.cluster, "chaos", self._operators[0])

    def run(
        self, manifest: dict[str, Any], faults: dict[str, int], pause: float, within: float
    ) -> None:
        """Bring a search to its end, with faults of some kinds, weighted, until then.

        A Job that has ended is deleted like any other, and its trial begins anew, until the
        iteration is in the history. So an iteration that meets fault after fault would never be
        over: after :data:`STORM` for each of its trials there is no other until it is. A slow or
        busy machine meets as many faults as a quick one.

        Args:
            manifest: the search.
            faults: how often each kind strikes, relative to the others.
            pause: the mean time between two faults, in seconds.
            within: how long it may take, in seconds.
        """
        with contextlib.ExitStack() as roads:
            for road in self._roads:
                roads.enter_context(road)
            self._run(manifest, faults, pause, within)

    def _run(
        self, manifest: dict[str, Any], faults: dict[str, int], pause: float, within: float
    ) -> None:
        self.searching.apply(manifest)
        for operator in self._operators:
            operator.start()
        deadline = time.monotonic() + within
        strikes: list[Callable[[], None]] = [getattr(self, f"_{name}") for name in faults]
        weights = list(faults.values())
        storm = STORM * manifest["spec"]["agent"]["batchSize"]
        struck: Counter[str] = Counter()
        looks = 0
        try:
            while (progress := self._progress()) is not None:
                self._check_time(deadline, within)
                if struck[progress] >= storm:
                    looks += 1
                    if looks % LOOKS == 0:
                        self._rest("kube-controller-manager")
                    time.sleep(CALM_SECONDS)
                    continue
                struck[progress] += 1
                looks = 0
                (strike,) = self._random.choices(strikes, weights)
                strike()
                time.sleep(self._random.uniform(0.0, 2 * pause))
        finally:
            for operator in self._operators:
                operator.kill()

    def _kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        timeout = "--request-timeout=5s"
        return self.cluster.kubectl("-n", "chaos", timeout, *arguments, check=False)

    def _status(self) -> str:
        return self._kubectl("get", "bs", "search", "-o", "jsonpath={.status}").stdout

    def _check_time(self, deadline: float, within: float) -> None:
        for operator in self._operators:
            assert operator.is_running(), (
                f"an operator has ended by itself:\n{operator.last_words()}"
            )
        assert time.monotonic() < deadline, (
            f"not over after {within} s: {self._status()}\n{self.faults}\n"
            + "\n".join(operator.last_words() for operator in self._operators)
        )

    def _progress(self) -> str | None:
        """Return the lowest iteration that is not over, empty where nobody answers.

        None when the search is over.
        """
        path = "jsonpath={.status.phase} {.status.iteration}"
        phase, _, iteration = self._kubectl("get", "bs", "search", "-o", path).stdout.partition(" ")
        assert phase != "Failed", self._status()
        return None if phase == "Complete" else iteration

    def _kill_operator(self) -> None:
        operator = self._random.choice(self._operators)
        operator.kill()
        self.faults["operator killed"] += 1
        operator.start()

    def _kill_both_operators(self) -> None:
        for operator in self._operators:
            operator.kill()
            self.faults["operator killed"] += 1
        time.sleep(self._random.uniform(0.0, 2.0))
        for operator in self._operators:
            operator.start()

    def _bad_weather(self) -> None:
        """Change the road of one operator or of both, for a while."""
        name = self._random.choice(list(WEATHERS))
        roads = self._random.choice([self._roads[:1], self._roads[1:], self._roads])
        for road in roads:
            road.weather = WEATHERS[name]
        time.sleep(self._random.uniform(SHORTEST_WEATHER, LONGEST_WEATHER))
        for road in roads:
            road.weather = FINE
        self.faults[f"road {name}"] += 1

    def _delete_pod(self) -> None:
        self._delete("pods", "status.phase!=Succeeded", "Pod deleted")

    def _delete_any_pod(self) -> None:
        self._delete("pods", "", "Pod deleted")

    def _delete_job(self) -> None:
        self._delete("jobs", "", "Job deleted")

    def _delete(self, kind: str, fields: str, said: str) -> None:
        selected = ("-l", "app.kubernetes.io/component=trial", f"--field-selector={fields}")
        object_names = self._kubectl("get", kind, *selected, "-o", "name").stdout.split()
        if object_names:
            gone = self._kubectl("delete", self._random.choice(object_names), "--wait=false")
            self.faults[said] += gone.returncode == 0

    def _stop_api_server(self) -> None:
        self._rest("kube-apiserver")

    def _stop_etcd(self) -> None:
        self._rest("etcd")

    def _rest(self, component: str) -> None:
        self.cluster.rest(component)
        time.sleep(self._random.uniform(0.2, 2.0))
        self.cluster.resume(component)
        self.faults[f"{component} stopped"] += 1

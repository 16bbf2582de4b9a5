"""A walk over the fields of a BlockSearch: each value on a new search, and on one that exists.

Each round takes some values. While the simulated nodes are cordoned, it creates for each value a
new search with it, and two more without it, to which the value is then applied; one of these two is
put back. Then the nodes may be used, and all searches run to their end. What must hold is written
at :class:`~walk_judge.Judge`; besides, nothing may be left of deleted searches.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.operator.api import Api
from benchmarks.operator.measure import searches_path
from walk_fields import Case, Spec
from walk_judge import AT_END, CHANGED, NAMESPACES, NEW, REVERTED, WAITING, Judge
from walk_state import Json, Seen, group

from blockqnn.errors import BlockQNNError
from blockqnn_api import names
from blockqnn_api.resolve import resolve
from blockqnn_operator.shell.kubernetes.client import config_maps_path, jobs_path

WITHIN = 60.0
"""Seconds in which a value must have an effect, or be refused, and a deleted search be gone."""

SETTLED = 6.0
"""Seconds without any change after which Pods are taken to wait, and searches that are over to stay
as they are."""

UNSETTLED = 25.0
"""Seconds without any change after which no search that goes on is expected to get further: the
scheduler lets Pods that found no node wait for up to ten."""

FINALISTS = f"{names.COMPONENT_LABEL}={names.FINALIST_COMPONENT}"
NOT_FINALISTS = f"{names.COMPONENT_LABEL}!={names.FINALIST_COMPONENT}"

STRICT = {"fieldValidation": "Strict"}
"""As kubectl asks: unknown fields are refused."""

MOST_TRIALS = 64
"""A search with more is not run to its end."""

Searches = dict[tuple[str, str], Seen]


@dataclass(frozen=True)
class Round:
    """Values that the API server accepts, and the names of their searches."""

    cases: tuple[Case, ...]
    names: tuple[str, ...]
    bases: tuple[str, ...]
    """For each value, the name of the search without it."""
    changeable: frozenset[int]
    """Numbers of the values that a search may be given later."""

    def endless(self) -> Iterable[str]:
        """Yield the names of searches that are not run to their end."""
        for case, name in zip(self.cases, self.names, strict=True):
            if _trials(case.spec) > MOST_TRIALS:
                yield name


class Walk:
    """Walks values in rounds.

    Args:
        api: the API server, as the administrator.
        nodes: the number of simulated nodes.
        judge: judges what is seen.
        most: the number of values of each field to make searches with; of the others, the API
            server alone is asked.
    """

    def __init__(self, api: Api, nodes: int, judge: Judge, most: float) -> None:
        self._api, self._nodes, self._judge, self._most = api, nodes, judge, most
        self._accepted: Counter[str] = Counter()
        self._finalists: dict[str, Json] = {}
        """Jobs of finalists by uid, which are deleted once they have ended."""

    async def round(self, cases: Sequence[Case]) -> None:
        """Walk some values."""
        await self._cordon(True)
        walked = await self._admit(cases)
        held = await self._change(walked)
        endless = set(walked.endless())
        for namespace, name in held:
            if name in endless:
                await self._api.request("DELETE", f"{searches_path(namespace)}/{name}")
        await self._cordon(False)
        ended = await self._settle(to_the_end=True)
        for number, case in enumerate(walked.cases):
            name, base = walked.names[number], walked.bases[number]
            self._judge.judge_searches(case, name, base, held, WAITING)
            if name not in endless:
                self._judge.judge_searches(case, name, base, ended, AT_END)
        self._judge.counts["searches"] += len(held)
        await self._clean()

    async def _admit(self, cases: Sequence[Case]) -> Round:
        """Ask the API server about each value; create the searches without them."""
        admitted, bases, changeable = [], {}, set()
        for case in cases:
            self._judge.counts["values"] += 1
            said = await self._post(NEW, "asked", case.spec, dryRun="All")
            if not self._judge.judge_refusal(case, said, "refused by the API server"):
                continue
            self._accepted[case.field] += 1
            if self._accepted[case.field] > self._most:
                continue
            key = json.dumps(case.without, sort_keys=True)
            if key not in bases:
                bases[key] = f"base-{len(bases):04d}"
                await self._create(NEW, bases[key], case.without)
            said = await self._put(NEW, bases[key], case.spec, dryRun="All")
            if self._judge.judge_refusal(case, said, "fixed in a search that exists"):
                changeable.add(len(admitted))
            admitted.append((case, f"case-{len(admitted):04d}", bases[key]))
        found, given, base_names = zip(*admitted, strict=True) if admitted else ((), (), ())
        return Round(found, given, base_names, frozenset(changeable))

    async def _change(self, walked: Round) -> Searches:
        """Create the searches, apply the values, put half of them back; return what is there."""
        for number, (case, name) in enumerate(zip(walked.cases, walked.names, strict=True)):
            await self._create(NEW, name, case.spec)
            if number in walked.changeable:
                await self._create(CHANGED, name, case.without)
                await self._create(REVERTED, name, case.without)
        await self._settle()
        for number in walked.changeable:
            for namespace in (CHANGED, REVERTED):
                await self._replace(namespace, walked.names[number], walked.cases[number].spec)
        await self._settle()
        for number in walked.changeable:
            await self._replace(REVERTED, walked.names[number], walked.cases[number].without)
        return await self._settle()

    async def _create(self, namespace: str, name: str, spec: Spec) -> None:
        said = await self._post(namespace, name, spec)
        assert not said, said

    async def _replace(self, namespace: str, name: str, spec: Spec) -> None:
        said = await self._put(namespace, name, spec)
        assert not said, said

    async def _post(self, namespace: str, name: str, spec: Spec, **query: str) -> str:
        """Create a search; return the refusal, empty if there is none."""
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": name},
            "spec": spec,
        }
        path = searches_path(namespace)
        return await _refusal(self._api.request("POST", path, body, **STRICT, **query))

    async def _put(self, namespace: str, name: str, spec: Spec, **query: str) -> str:
        """Replace the spec of a search; return the refusal, empty if there is none."""
        path = f"{searches_path(namespace)}/{name}"
        return await _refusal(self._api.replace(path, "/spec", spec, **STRICT, **query))

    async def _cordon(self, yes: bool) -> None:
        for number in range(self._nodes):
            path = f"/api/v1/nodes/simulated-{number}"
            await self._api.merge(path, {"spec": {"unschedulable": yes}})

    async def _look(self, *, with_objects: bool = True) -> Searches:
        """Return all searches, and their Jobs and histories unless that would cost too much."""
        searches: Searches = {}
        for namespace in NAMESPACES:
            bodies, jobs, maps = await self._list(searches_path(namespace)), [], []
            for job in await self._list(jobs_path(namespace), FINALISTS):
                self._finalists[job["metadata"]["uid"]] = job
            if with_objects:
                jobs = await self._list(jobs_path(namespace), NOT_FINALISTS)
                jobs += [j for j in self._finalists.values() if _namespace(j) == namespace]
                maps = await self._list(config_maps_path(namespace), names.SEARCH_LABEL)
            for seen in group(bodies, jobs, maps):
                searches[namespace, seen.search["metadata"]["name"]] = seen
        return searches

    async def _list(self, path: str, labels: str = "") -> list[Json]:
        query = {"labelSelector": labels} if labels else {}
        items: list[Json] = (await self._api.request("GET", path, **query))["items"]
        return items

    async def _settle(self, *, to_the_end: bool = False) -> Searches:
        """Wait until no search changes any more, and return what there is then."""
        since = time.monotonic()
        before: Any = None
        while True:
            seen = await self._look(with_objects=False)
            now = {key: each.search["metadata"]["resourceVersion"] for key, each in seen.items()}
            if now != before:
                before, since = now, time.monotonic()
            quiet = time.monotonic() - since
            if quiet > self._patience(seen.values(), to_the_end=to_the_end):
                return await self._look()
            await asyncio.sleep(2.0)

    def _patience(self, seen: Iterable[Seen], *, to_the_end: bool) -> float:
        searches = list(seen)
        if not all(search.is_answered for search in searches):
            return WITHIN
        if to_the_end and not all(search.is_over for search in searches):
            return UNSETTLED
        return SETTLED

    async def _clean(self) -> None:
        """Delete the searches; everything of theirs must go."""
        self._finalists.clear()
        for namespace in NAMESPACES:
            await self._api.request("DELETE", searches_path(namespace))
        begun = time.monotonic()
        while left := await self._left():
            if time.monotonic() - begun > WITHIN:
                text = f"left after deletion: {', '.join(left[:5])} ({len(left)} objects)"
                self._judge.alarms.append(text)
                return
            await asyncio.sleep(1.0)

    async def _left(self) -> list[str]:
        left: list[str] = []
        for namespace in NAMESPACES:
            pods = f"/api/v1/namespaces/{namespace}/pods"
            objects = await self._list(config_maps_path(namespace), names.SEARCH_LABEL)
            for path in (searches_path(namespace), jobs_path(namespace), pods):
                objects += await self._list(path)
            left += [body["metadata"]["name"] for body in objects]
        return left


def _namespace(body: Json) -> str:
    return str(body["metadata"]["namespace"])


async def _refusal(request: Awaitable[Json]) -> str:
    try:
        await request
    except RuntimeError as error:
        return str(error)
    return ""


def _trials(spec: Spec) -> int:
    try:
        return resolve(spec).budget.trials
    except BlockQNNError:
        return 0

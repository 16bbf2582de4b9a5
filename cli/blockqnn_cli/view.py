"""A search as the commands see it: plain values, read once. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import nan
from typing import Any

from blockqnn.block.nsc import Block
from blockqnn.network.datasets import images_of
from blockqnn.network.spec import ImageShape, NetworkSpec
from blockqnn.search import Search
from blockqnn.settings.epsilon_schedule import EpsilonStage, epsilon_at
from blockqnn_api.advice import advise
from blockqnn_api.errors import InvalidSearch
from blockqnn_api.history.replay import new_agent
from blockqnn_api.history.trial_record import Header, TrialRecord
from blockqnn_api.resolve import filled_in, limits_of, preset_of, resolve
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_cli.errors import NothingYet


@dataclass(frozen=True, slots=True)
class SearchView:
    """A BlockSearch as it is now, with the records of its history."""

    namespace: str
    name: str
    uid: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    header: Header | None = None
    """The first line of the history; None before the search has started."""
    records: tuple[TrialRecord, ...] = ()

    @property
    def key(self) -> str:
        """Namespace and name, as people write them."""
        return f"{self.namespace}/{self.name}"

    @property
    def phase(self) -> str:
        """The phase; ``Pending`` until the operator has reported one."""
        return str(self.status.get("phase", "Pending"))

    @property
    def batch_size(self) -> int | None:
        """Trials in an iteration; None before the search has started."""
        return int(self.header.settings["agent"]["batchSize"]) if self.header else None

    @property
    def preset(self) -> str:
        """The name of the preset that its settings come from."""
        if self.header is not None:
            return preset_of(self.spec, self.header.settings)
        return preset_of(self.spec, {} if self._has_begun else None)

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """The fields that its preset fills in, with the values in force: complete, as JSON.

        A search that has started keeps those that the header of its history pins. None if the
        spec contradicts itself, or if there is a history that could not be read.
        """
        resolved = self._resolved()
        return filled_in(resolved) if resolved else None

    @property
    def advice(self) -> str:
        """Advice on better settings if the search would hardly learn; else empty."""
        resolved = self._resolved()
        advice = advise(self.spec, resolved) if resolved else None
        return advice.message if advice else ""

    @property
    def _has_begun(self) -> bool:
        return self.header is not None or bool(self.status.get("history"))

    def _resolved(self) -> BlockSearchSpec | None:
        if self.header is None and self._has_begun:
            return None
        try:
            return resolve(self.spec, self.header.settings if self.header else None)
        except InvalidSearch:
            return None

    @property
    def schedule(self) -> tuple[EpsilonStage, ...]:
        """The epsilon schedule; empty before the search has started."""
        if self.header is None:
            return ()
        stages = self.header.settings["agent"]["epsilonSchedule"]
        return tuple(EpsilonStage.model_validate(stage) for stage in stages)

    @property
    def algorithm(self) -> str:
        """The search strategy; empty before the search has started."""
        return str(self.header.settings["agent"]["algorithm"]) if self.header else ""

    def epsilon(self, iteration: int) -> float:
        """Return the probability that an iteration draws a layer at random; 1 before the start.

        Only Q-learning follows the schedule: evolution draws its first population at random, and
        random search everything. A strategy of another package is asked itself; not a number if
        that package is not installed here.
        """
        if self.header is None or self.algorithm == "RandomSearch":
            return 1.0
        if self.algorithm == "Evolution":
            agent = self.header.settings["agent"]
            drawn = (iteration + 1) * int(agent["batchSize"])
            return 1.0 if drawn <= int(agent["evolution"]["populationSize"]) else 0.0
        if self.algorithm == "QLearning":
            return epsilon_at(self.schedule, iteration)
        strategy = _unlearned(json.dumps(self.spec), json.dumps(self.header.settings))
        return strategy.epsilon(iteration) if strategy else nan

    @property
    def images(self) -> ImageShape | None:
        """Shape and number of classes of the images; None if unknown before they are read."""
        dataset = self.spec.get("dataset", {})
        if dataset.get("shape") is not None:
            return ImageShape.model_validate(dataset["shape"])
        return images_of(dataset.get("name", ""))

    def network_for(self, block: Block) -> NetworkSpec:
        """Return the network that stacks a block; with adaptive repeats it depends on the block.

        Raises:
            NothingYet: when the search has not started.
        """
        resolved = resolve(self.spec, self.started().settings)
        return limits_of(resolved).network_for(block.body)

    def started(self) -> Header:
        """Return the header of the history.

        Raises:
            NothingYet: when there is no history.
        """
        if self.header is None:
            raise NothingYet(
                f"The search {self.key} has no history yet; `kubectl blockqnn status {self.name} "
                f"-n {self.namespace}` says what it is waiting for."
            )
        return self.header


@dataclass(frozen=True, slots=True)
class EventView:
    """A Kubernetes Event about a search."""

    time: str
    """Time of the last occurrence, as the API server writes it."""
    type: str
    """``Normal`` or ``Warning``."""
    reason: str
    message: str


@lru_cache(maxsize=4)
def _unlearned(spec: str, pinned: str) -> Search | None:
    """Return the search of a strategy before it learns; None if its package is not installed."""
    try:
        settings = resolve(json.loads(spec), json.loads(pinned))
        return new_agent(settings, settings.seed)
    except InvalidSearch:
        return None

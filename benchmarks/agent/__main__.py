"""Time the agent on one core: a history of the papers' size, iterations, hashes and counts.

``python -m benchmarks.agent`` prints a table and writes ``build/benchmarks/agent.json``; with
``QUICK=1`` it takes a tenth of the work. Times are processor time, which other programs on the
machine hardly lengthen; memory is what Python allocated for the search, at its peak.
"""

import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import product
from random import Random
from statistics import median
from typing import Any

from benchmarks.report import is_quick, write
from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.network.cost import network_macs, network_parameters
from blockqnn.network.datasets import DATASETS
from blockqnn.network.spec import NetworkSpec
from blockqnn.search import Experience, Search, SearchSettings
from blockqnn.settings.epsilon_schedule import EpsilonStage, scaled
from blockqnn.settings.presets import PRESETS, preset_for
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.block_space import Space
from blockqnn.space.constraints.limits import Limits
from blockqnn.surrogate.predictor import Predictor

PAPERS_TRIALS = 11_392
IMAGES = (3, 32, 32)
CLASSES = 100
MOST_PARAMETERS = (100_000, 200_000, 1_000_000, 3_000_000)


def main() -> int:
    """Measure, print and write."""
    trials = PAPERS_TRIALS // 10 if is_quick() else PAPERS_TRIALS
    figures: list[dict[str, Any]] = []

    def report(name: str, value: float, unit: str, bar: float | None = None) -> None:
        figures.append({"name": name, "value": value, "unit": unit, "bar": bar})
        limit_text = f"  (at most {bar:g})" if bar is not None else ""
        print(f"{name:<58}{value:>10.2f} {unit}{limit_text}", flush=True)

    settings = settings_for("CVPR2018", trials)
    history, iterations = live(settings, trials)
    seconds, megabytes = recover(settings, history)
    scale = PAPERS_TRIALS / trials
    report(f"CVPR2018: replay {trials} trials", seconds, "s", 5 / scale)
    report("CVPR2018: memory of the replayed search", megabytes, "MB", 200)
    report("CVPR2018: one iteration of 64, median", 1000 * median(iterations), "ms", 50)
    networks = len({canonical_hash(experience.block) for experience in history})
    report("CVPR2018: trainings saved by sharing results", trials - networks, f"of {trials}")
    few = 200 if is_quick() else 2000
    history, iterations = live(settings_for("Efficient", few), few)
    report(f"Efficient, {few} trials: one iteration, median", 1000 * median(iterations), "ms")
    seconds, megabytes = recover(settings_for("Efficient", few), history)
    report(f"Efficient: replay {few} trials", seconds, "s")
    learned = trials * 5000 // PAPERS_TRIALS
    title = f"predictor: learn from {learned} trials"
    history = live(settings_for("Efficient", trials), trials)[0]
    learning, predicting = predictor(history[:learned])
    report(title, learning, "s", 2)
    report("predictor: one prediction", 1e6 * predicting, "µs")
    seconds, megabytes = recover(settings_for("OneGPU", trials), history)
    report(f"OneGPU: replay {trials} trials, predictor on", seconds, "s", 15 / scale)
    report("OneGPU: memory of the replayed search", megabytes, "MB")
    for name, value in under_limits().items():
        report(name, 1000 * value, "ms", 10 if "no output" not in name else None)
    for name, value in blocks().items():
        report(name, 1e6 * value, "µs", 200 if name.startswith("hash") else None)
    print(f"\nWritten: {write('agent', {'figures': figures})}")
    return 0


def settings_for(preset: str, trials: int) -> SearchSettings:
    """Return the settings of a search as the operator resolves them."""
    values = preset_for(preset, trials)
    agent = values["agent"]
    stages = [EpsilonStage.model_validate(stage) for stage in agent["epsilonSchedule"]]
    agent["epsilonSchedule"] = scaled(stages, -(-trials // agent["batchSize"]))
    sections = ("space", "agent", "reward", "network")
    return SearchSettings.model_validate({section: values[section] for section in sections})


def live(settings: SearchSettings, trials: int) -> tuple[list[Experience], list[float]]:
    """Search with made-up accuracies; return the history and the seconds of each iteration."""
    search = Search(settings, 0)
    history: list[Experience] = []
    seconds = []
    while len(history) < trials:
        started = time.process_time()
        batch = [
            Experience(
                proposal.trial,
                proposal.block,
                search.reward(proposal.block, {"accuracy": _accuracy(proposal.hash)}),
            )
            for proposal in search.proposals(search.learned)
        ]
        search.learn(batch)
        seconds.append(time.process_time() - started)
        history += batch
    return history, seconds


def _accuracy(block_hash: str) -> float:
    return int(block_hash[:6], 16) / 0xFFFFFF


def recover(settings: SearchSettings, history: Sequence[Experience]) -> tuple[float, float]:
    """Return the seconds that a replay takes, and its peak of memory in megabytes."""
    started = time.process_time()
    Search.recover(settings, 0, history)
    seconds = time.process_time() - started
    tracemalloc.start()
    search = Search.recover(settings, 0, history)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del search
    return seconds, peak / 1e6


def predictor(history: Sequence[Experience]) -> tuple[float, float]:
    """Return the seconds that learning a history takes a predictor, and those of a prediction.

    Learning includes the features of the blocks, which a search takes in one by one.
    """
    settings = settings_for("OneGPU", len(history))
    space = Space(settings.space, None, settings.network, None)
    learned = Predictor(space)
    candidates = [space.encode(experience.block) for experience in history]
    rewards = [experience.reward or 0.0 for experience in history]
    started = time.process_time()
    for candidate in candidates:
        learned.add(candidate)
    learned.fit(rewards)
    seconds = time.process_time() - started
    started = time.process_time()
    for candidate in candidates[:200]:
        learned.predict(candidate)
    return seconds, (time.process_time() - started) / len(candidates[:200])


def under_limits() -> dict[str, float]:
    """Return the mean seconds of drawing a block within limits that rule out most blocks."""
    values = PRESETS["CVPR2018"]
    network = NetworkSpec.model_validate(values["network"])
    images = DATASETS["cifar100"].images
    seconds = {}
    for projection, limit in product((True, False), MOST_PARAMETERS):
        settings = SpaceSettings.model_validate(
            {**values["space"], "constraints": {"maxParameters": limit}}
        )
        stacked = network.model_copy(update={"output_projection": projection})
        started = time.process_time()
        space = Space(settings, Limits(settings, stacked, images))
        random = Random(0)
        count = 64 if is_quick() or not projection else 640
        for _ in range(count):
            space.random_block(random, "TypeFirst")
        name = f"a block of at most {limit:,} parameters, mean"
        if not projection:
            name += ", no output projection"
        seconds[name] = (time.process_time() - started) / count
    return seconds


def blocks() -> dict[str, float]:
    """Return the median seconds of what is computed about one block of 23 layers."""
    space = Space(SpaceSettings.model_validate(PRESETS["Efficient"]["space"]))
    random = Random(0)
    longest: list[Block] = []
    while len(longest) < (20 if is_quick() else 200):
        block = space.random_block(random, "Flat")
        if len(block) == 23:
            longest.append(block)
    network = NetworkSpec.model_validate(preset_for("CVPR2018")["network"])
    timed: dict[str, Callable[[Block], object]] = {
        "hash of a block of 23 layers, median": canonical_hash,
        "MACs of its network": lambda block: network_macs(block, network, IMAGES, CLASSES),
        "parameters of its network": lambda block: network_parameters(
            block, network, IMAGES, CLASSES
        ),
    }
    return {
        name: median(_seconds(work, block) for block in longest) for name, work in timed.items()
    }


def _seconds(work: Callable[[Block], object], block: Block) -> float:
    started = time.process_time()
    for _ in range(5):
        work(block)
    return (time.process_time() - started) / 5


if __name__ == "__main__":
    sys.exit(main())

"""Proposals that a predictor has chosen from more than are trained.

There are several times as many candidates as an iteration trains. Q-learning draws some; its values
say which kind of block is good. The others are small changes of the best blocks so far, as in
BANANAS (White et al. 2021): they refine a good block. Those that may be best by what the predictor
expects of them, and by how sure it is, are proposed, and if so wished some at random.
"""

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from random import Random

from blockqnn.errors import InvalidSettings
from blockqnn.settings.search import AgentSettings, PredictorSettings
from blockqnn.space.protocol import Candidate, SearchSpace, pick
from blockqnn.strategies.duplicates import Met
from blockqnn.surrogate.predictor import Predictor
from blockqnn.surrogate.ridge import Prediction

_PARENTS = 10
"""How many of the best blocks so far are changed: measured, 5 and 20 do no better."""

_FAILURES = 10
"""After each 10 duplicates in a row one more change is made."""


def check_predictor(settings: AgentSettings) -> None:
    """Refuse a predictor where nothing could choose by it.

    Raises:
        InvalidSettings: when the algorithm or the handling of duplicates does not go with it.
    """
    if settings.predictor is None:
        return
    if settings.algorithm != "QLearning":
        raise InvalidSettings(
            f"agent.predictor chooses among blocks that Q-learning draws, but agent.algorithm is "
            f"{settings.algorithm}; leave the predictor out, or take algorithm QLearning."
        )
    if settings.duplicates != "Redraw":
        raise InvalidSettings(
            "agent.predictor would fill iterations with copies of the block that it expects most "
            "of, since agent.duplicates is Keep; set agent.duplicates to Redraw."
        )


class Filter:
    """Chooses among drawn candidates by what is known of those that were trained."""

    def __init__(self, settings: PredictorSettings, space: SearchSpace, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._space = space
        self._predictor = Predictor(space)
        self._trained: list[Candidate] = []
        self._expected: dict[Candidate, Prediction] = {}

    @property
    def is_warm(self) -> bool:
        """Whether enough was trained for predictions to count."""
        return len(self._predictor) >= max(self._settings.warmup, 2)

    def add(self, candidate: Candidate) -> None:
        """Take in the next candidate that was trained."""
        self._predictor.add(candidate)
        self._trained.append(candidate)

    def choose(
        self,
        iteration: int,
        rewards: Sequence[float],
        randoms: Sequence[Random],
        met: Met,
        draw: Callable[[Random], Candidate],
    ) -> tuple[Candidate, ...]:
        """Return the candidates of an iteration, in the order in which they were drawn.

        Args:
            iteration: its number.
            rewards: those of all candidates that were taken in.
            randoms: the sources of random choices, one for each candidate of the iteration.
            met: what is not to be drawn again.
            draw: lets Q-learning draw a candidate, no two alike.
        """
        self._predictor.fit(rewards)
        size = len(randoms)
        parents = self._best(rewards)
        drawn = [
            self._mutate(parents, random, met) if self._is_mutated(random) else draw(random)
            for random in islice(cycle(randoms), size * self._settings.candidates)
        ]
        random = Random(f"{self._seed}:filter:{iteration}")
        kept = self._kept_at_random(size, random)
        chosen = self._predictor.choose(drawn, size - kept, self._settings.optimism)
        left = [number for number in range(len(drawn)) if number not in chosen]
        for _ in range(kept):
            chosen.append(left.pop(pick(range(len(left)), random)))
        proposed = tuple([drawn[number] for number in sorted(chosen)])
        self._expected = {one: self._predictor.explain(one) for one in proposed}
        return proposed

    def _best(self, rewards: Sequence[float]) -> list[Candidate]:
        """Return the best candidates so far, the latest of equals first."""
        order = sorted(range(len(rewards)), key=lambda number: (-rewards[number], -number))
        return [self._trained[number] for number in order[:_PARENTS]]

    def _is_mutated(self, random: Random) -> bool:
        # Without the share nothing is drawn, as before there was one.
        return self._settings.mutated > 0 and random.random() < self._settings.mutated

    def _mutate(self, parents: Sequence[Candidate], random: Random, met: Met) -> Candidate:
        def change(failures: int) -> Candidate:
            candidate = pick(parents, random)
            for _ in range(1 + failures // _FAILURES):
                candidate = self._space.mutate(candidate, random)
            return candidate

        return met.draw(change)

    def _kept_at_random(self, size: int, random: Random) -> int:
        """Return how many are kept whatever is expected of them.

        That is the wanted share to the nearest whole number, and where that is none, one by chance.
        """
        wanted = self._settings.keep_random * size
        return round(wanted) or int(random.random() < wanted)

    def expected(self, candidate: Candidate) -> Prediction | None:
        """Return what was expected of a candidate of the iteration that was chosen last."""
        return self._expected.get(candidate)

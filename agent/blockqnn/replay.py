"""The replay memory: past trials, to be learned from again (CVPR 2018, section 4.2)."""

from random import Random
from typing import NamedTuple

from blockqnn.space import pick


class Episode(NamedTuple):
    """A trial as the agent remembers it."""

    layers: tuple[int, ...]
    """The numbers of the block's layers (:class:`blockqnn.space.Space`)."""
    reward: float
    """The reward of the whole block, in percent."""


class ReplayMemory:
    """All episodes of a search, in trial order.

    A block that was proposed twice is remembered twice, as the papers' batches hold it.
    """

    def __init__(self) -> None:
        self._episodes: list[Episode] = []

    def __len__(self) -> int:
        return len(self._episodes)

    def append(self, episode: Episode) -> None:
        """Remember the next episode."""
        self._episodes.append(episode)

    def sample(self, size: int, random: Random) -> list[Episode]:
        """Draw episodes with replacement, all with the same probability; none from no memory."""
        if not self._episodes:
            return []
        return [pick(self._episodes, random) for _ in range(size)]

"""Random choices of an epoch: the order of the images and the variation of each of them.

Everything is drawn anew for each epoch from the seed and the number of the epoch alone, on the CPU.
So a training that goes on in the middle of an epoch needs no state of a generator, and every one of
several processes draws the same.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from blockqnn.contract.finalist import Augmentation


def generator_for(seed: int, purpose: str) -> torch.Generator:
    """Return a generator on the CPU for one purpose, independent of those for others."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@dataclass(frozen=True, slots=True)
class Draws:
    """The variation of each training image in one epoch; row i is image i."""

    short_sides: Tensor
    """float32, N: the length of the shorter side after scaling, in pixels; 0 without a scale."""
    places: Tensor
    """float32, N x 2: the position of the crop between the first (0) and the last possible (1) row
    and column; with a padding, multiples of 1 / (2 x padding)."""
    flips: Tensor
    """bool, N: True if an image is mirrored."""

    def of(self, chosen: Tensor) -> "Draws":
        """Return the draws of some images."""
        return Draws(self.short_sides[chosen], self.places[chosen], self.flips[chosen])

    def to(self, device: torch.device) -> "Draws":
        """Return the draws on a device."""
        return Draws(self.short_sides.to(device), self.places.to(device), self.flips.to(device))


def draw_order(images: int, seed: int, epoch: int) -> Tensor:
    """Draw the order in which an epoch, counted from 0, goes through its images: int64, N."""
    return torch.randperm(images, generator=generator_for(seed, f"order {epoch}"))


def draw_variations(images: int, augmentation: Augmentation, seed: int, epoch: int) -> Draws:
    """Draw the variation of each image in an epoch, counted from 0."""
    generator = generator_for(seed, f"variations {epoch}")
    places = torch.rand(images, 2, generator=generator)
    flips = torch.rand(images, generator=generator) < 0.5 * augmentation.flip
    short_sides = torch.zeros(images)
    if augmentation.scale is not None:
        low, high = augmentation.scale.short_side
        drawn = torch.randint(low, high + 1, (images,), generator=generator)
        short_sides = drawn.to(torch.float32)
    else:
        steps = 2 * augmentation.padding
        shifts = (places * (steps + 1)).floor_().clamp_(max=steps)
        places = shifts / max(steps, 1)
    return Draws(short_sides, places, flips)

"""Augmentation of training images: against the same done pixel by pixel."""

import numpy
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from blockqnn.contract.finalist import Augmentation, Scale
from blockqnn_trainer.finalists.augmentation import cut_middle, normalise, vary
from blockqnn_trainer.finalists.draws import Draws, draw_order, draw_variations

torch.set_num_threads(1)


def pictures(count: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, height, width, 3)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@given(
    padding=st.integers(0, 3),
    flip=st.booleans(),
    seed=st.integers(0, 2**62),
    sides=st.tuples(st.integers(4, 7), st.integers(4, 7)),
)
def test_a_shift_is_a_crop_of_the_padded_image(
    padding: int, flip: bool, seed: int, sides: tuple[int, int]
) -> None:
    height, width = sides
    pixels = pictures(6, height, width)
    augmentation = Augmentation(padding=padding, flip=flip)
    draws = draw_variations(6, augmentation, seed, epoch=1)
    chosen = torch.tensor([5, 0, 3])
    varied, inside = vary(pixels, chosen, draws.of(chosen), augmentation)
    varied_inside = (varied * inside).numpy()
    border = [(padding, padding), (padding, padding), (0, 0)]
    for row, image in enumerate(chosen.tolist()):
        top, left = (draws.places[image] * 2 * padding).round().int().tolist()
        source = pixels[image].numpy()
        if draws.flips[image]:
            source, left = source[:, ::-1], 2 * padding - left
        padded = numpy.pad(source, border)
        expected = padded[top : top + height, left : left + width]
        numpy.testing.assert_array_equal(varied_inside[row], expected)


def test_each_shift_and_each_side_is_as_likely_as_any_other() -> None:
    augmentation = Augmentation(padding=4, flip=True)
    draws = draw_variations(81_000, augmentation, seed=3, epoch=0)
    shifts = (draws.places * 8).round().int()
    counts = torch.bincount(shifts[:, 0] * 9 + shifts[:, 1], minlength=81)
    # 1,000 each, with a deviation of 31.
    assert counts.min() > 850
    assert counts.max() < 1150
    assert abs(float(draws.flips.float().mean()) - 0.5) < 0.01
    scale = Scale(short_side=(256, 480), crop=224, test_short_side=256)
    sides = draw_variations(22_500, Augmentation(scale=scale, flip=True), 3, 0).short_sides
    assert (sides.min(), sides.max()) == (256, 480)
    assert torch.bincount(sides.int())[256:].min() > 50  # of 100


def test_every_epoch_varies_and_orders_anew_and_the_same_seed_the_same() -> None:
    augmentation = Augmentation(padding=4, flip=True)
    first, again, second, other = (
        draw_variations(100, augmentation, seed, epoch).places
        for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert first.equal(again)
    assert not first.equal(second)
    assert not first.equal(other)
    assert draw_order(100, 1, 0).equal(draw_order(100, 1, 0))
    assert not draw_order(100, 1, 0).equal(draw_order(100, 1, 1))
    assert draw_order(100, 1, 5).sort().values.equal(torch.arange(100))


def test_without_augmentation_images_stay_as_they_are() -> None:
    pixels = pictures(4, 5, 6)
    none = Augmentation(flip=False)
    chosen = torch.arange(4)
    varied, inside = vary(pixels, chosen, draw_variations(4, none, 1, 0), none)
    assert varied.equal(pixels)
    assert bool(inside.all())


def test_a_crop_of_the_same_scale_is_the_image_itself() -> None:
    pixels = pictures(2, 16, 16)
    scale = Scale(short_side=(16, 16), crop=16, test_short_side=16)
    draws = Draws(torch.full((2,), 16.0), torch.zeros(2, 2), torch.tensor([False, True]))
    chosen = torch.arange(2)
    varied, _ = vary(pixels, chosen, draws, Augmentation(scale=scale, flip=True))
    torch.testing.assert_close(varied[0], pixels[0].float(), atol=0.01, rtol=0)
    torch.testing.assert_close(varied[1], pixels[1].flip(1).float(), atol=0.01, rtol=0)
    assert cut_middle(pixels, scale).equal(pixels)


def test_a_scaled_crop_shows_the_part_that_was_drawn() -> None:
    """On a ramp, whose brightness says where a pixel came from."""
    height, width = 24, 32
    rows = torch.arange(height).expand(width, height).T
    columns = torch.arange(width).expand(height, width)
    ramp = torch.stack([rows, columns], 2)[None].to(torch.uint8)
    scale = Scale(short_side=(24, 48), crop=16, test_short_side=48)
    # At a shorter side of 48 the image is twice as large, so the crop shows 8 of its pixels.
    draws = Draws(torch.tensor([48.0]), torch.tensor([[0.0, 1.0]]), torch.tensor([False]))
    varied, _ = vary(ramp, torch.tensor([0]), draws, Augmentation(scale=scale, flip=False))
    assert varied.shape == (1, 16, 16, 2)
    assert float(varied[0, :, 0, 0].max()) < 8
    assert float(varied[0, 0, :, 1].min()) >= 23.5
    middle = cut_middle(ramp, scale)[0].float()
    assert abs(float(middle[..., 0].mean()) - 11.5) < 0.5
    assert abs(float(middle[..., 1].mean()) - 15.5) < 0.5


def test_normalising_keeps_the_memory_order_of_images() -> None:
    pixels = pictures(3, 4, 5)
    mean, deviation = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 5.0, 6.0])
    values = normalise(pixels, mean, deviation)
    assert values.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(values[2, 1, 3, 4], (pixels[2, 3, 4, 1] - 2.0) / 5.0)

"""Augmentation of a batch of images on the device, all of them at once.

Choices that the papers leave open: the empty part after a shift has the colour of the mean, which
is zero after normalising; images that are scaled on the device are sampled bilinearly without a
filter, so details finer than a pixel of the crop alias (files of images are scaled with one:
`files.py`).
"""

import torch
from torch import Tensor
from torch.nn import functional

from blockqnn.contract.finalist import Augmentation, Scale
from blockqnn_trainer.finalists.draws import Draws


def normalise(pixels: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Bring channels to mean 0 and deviation 1.

    Args:
        pixels: N x height x width x channels, 0 to 255.
        mean: of each channel, 0 to 255.
        deviation: of each channel.

    Returns:
        float32, N x channels x height x width in channels-last memory order.
    """
    return pixels.to(torch.float32).sub(mean).div(deviation).permute(0, 3, 1, 2)


def vary(
    pixels: Tensor, chosen: Tensor, draws: Draws, augmentation: Augmentation
) -> tuple[Tensor, Tensor]:
    """Gather images and vary them.

    Args:
        pixels: uint8, N x height x width x channels: all images.
        chosen: int64, B: their indices.
        draws: the variation of each of the chosen images.
        augmentation: the meaning of the draws.

    Returns:
        B x height x width x channels, uint8 or float32, 0 to 255, and of the same shape with 1
        channel, bool: True where a pixel is inside the image.
    """
    if augmentation.scale is not None:
        scaled = _scale(pixels[chosen], draws, augmentation.scale)
        return scaled, scaled.new_ones((*scaled.shape[:3], 1), dtype=torch.bool)
    return _shift(pixels, chosen, draws, augmentation.padding)


def _shift(pixels: Tensor, chosen: Tensor, draws: Draws, padding: int) -> tuple[Tensor, Tensor]:
    height, width = pixels.shape[1:3]
    shifts = (draws.places * (2 * padding)).round().to(torch.int64) - padding
    rows = torch.arange(height, device=pixels.device) + shifts[:, :1]
    columns = torch.arange(width, device=pixels.device).expand(len(chosen), width)
    columns = torch.where(draws.flips[:, None], width - 1 - columns, columns) + shifts[:, 1:]
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    gathered = pixels[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
    return gathered, inside[..., None]


def _within(places: Tensor, length: int) -> Tensor:
    return (places >= 0) & (places < length)


def _scale(images: Tensor, draws: Draws, scale: Scale) -> Tensor:
    """Sample the crops; the sides of the cut squares are measured in pixels of the images."""
    height, width = images.shape[1:3]
    sides = scale.crop * min(height, width) / draws.short_sides
    free = torch.tensor([height, width], device=images.device) - sides[:, None]
    starts = draws.places * free
    steps = (torch.arange(scale.crop, device=images.device) + 0.5) / scale.crop
    rows = starts[:, :1] + steps * sides[:, None]
    columns = starts[:, 1:] + steps * sides[:, None]
    columns = torch.where(draws.flips[:, None], columns.flip(1), columns)
    shape = (len(images), scale.crop, scale.crop)
    grid = torch.stack(
        [
            (columns * (2 / width) - 1)[:, None, :].expand(shape),
            (rows * (2 / height) - 1)[:, :, None].expand(shape),
        ],
        dim=3,
    )
    values = images.permute(0, 3, 1, 2).to(torch.float32)
    sampled = functional.grid_sample(values, grid, padding_mode="border", align_corners=False)
    return sampled.permute(0, 2, 3, 1)


def cut_middle(images: Tensor, scale: Scale) -> Tensor:
    """Bring the shorter side of test images to its length and cut the middle, with a filter.

    Args:
        images: uint8, B x height x width x channels.
        scale: the length and the crop.

    Returns:
        uint8, B x crop x crop x channels.
    """
    height, width = images.shape[1:3]
    factor = scale.test_short_side / min(height, width)
    size = [max(scale.crop, round(length * factor)) for length in (height, width)]
    values = images.permute(0, 3, 1, 2).to(torch.float32)
    resized = functional.interpolate(
        values, size, mode="bilinear", align_corners=False, antialias=True
    )
    top, left = ((length - scale.crop) // 2 for length in size)
    cut = resized[:, :, top : top + scale.crop, left : left + scale.crop]
    return cut.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

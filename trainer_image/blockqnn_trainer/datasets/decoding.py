"""One image file as an RGB image of bytes: scaled where it has more bits, or refused.

A mode that the library would only clip or guess at is refused, since that destroys the image.
"""

from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy
from PIL import Image, UnidentifiedImageError

from blockqnn_trainer.datasets.files import is_of_the_file, named, open_file, why_unreadable
from blockqnn_trainer.errors import DatasetInvalid

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
"""The formats that are read, whatever a file's name says. Others could start programs (EPS)."""

_OF_BYTES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"})
_WITH_ALPHA = frozenset({"LA", "PA", "RGBA"})
_OF_16_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})

_DEEPEST = 65_535
"""The largest value of 16 bits, which becomes 255."""

_FEWEST_VALUES = 4096
"""16-bit images that use fewer values would be left with 16 shades of grey: they hold 12 bits."""


class Decoded(NamedTuple):
    """An image, and what was lost when it was brought to bytes."""

    image: Image.Image
    """RGB."""
    highest: int | None
    """Its largest value before it was scaled, 0 to 65,535; None if it had bytes."""


class Depth:
    """The values that the 16-bit images of a dataset use, all together."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._highest: int | None = None
        self._lock = Lock()

    def add(self, decoded: Decoded) -> None:
        """Take one more image into account; any thread may."""
        if decoded.highest is not None:
            with self._lock:
                self._highest = max(decoded.highest, self._highest or 0)

    def check(self) -> None:
        """Refuse images of which little would be left.

        Raises:
            DatasetInvalid: when they use the lowest values of 16 bits alone.
        """
        if self._highest is not None and self._highest < _FEWEST_VALUES:
            raise DatasetInvalid(
                f"The 16-bit images of {self._root} have no value above {self._highest:,} of "
                f"{_DEEPEST:,}, so that they would become almost black; scale them to all 16 bits, "
                "or save them with 8."
            )


def read_file(file: Path) -> Image.Image:
    """Read one image as RGB.

    Raises:
        DatasetInvalid: as :func:`decode`.
    """
    return decode(file).image


def decode(file: Path) -> Decoded:
    """Read one image.

    Raises:
        DatasetInvalid: when it cannot be read, or has a form that cannot become bytes.
    """
    with open_file(file) as stream:
        try:
            with Image.open(stream, formats=_FORMATS) as opened:
                return _as_bytes(file, opened)
        except DatasetInvalid:
            raise
        except Exception as error:
            # The decoders raise whatever a damaged file leads them to.
            if not is_of_the_file(error):
                raise named(error, file) from error
            reason = why_unreadable(stream) or _reason(error)
        raise DatasetInvalid(f"The image {file} cannot be read: {reason}.")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"it has none of the formats {', '.join(_FORMATS)}, or its beginning is damaged"
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return f"it has more than {most:,} pixels; make it smaller, or remove it"
    if isinstance(error, MemoryError):
        return "its pixels do not fit into the memory; make it smaller, or remove it"
    return str(error).rstrip(".") or type(error).__name__


def _as_bytes(file: Path, opened: Image.Image) -> Decoded:
    if opened.mode in _OF_16_BITS or (opened.mode == "I" and opened.format == "PPM"):
        return _scaled(opened)
    if opened.mode == "P" and "transparency" in opened.info:
        return Decoded(_without_alpha(file, opened.convert("RGBA")), None)
    if opened.mode in _WITH_ALPHA:
        return Decoded(_without_alpha(file, opened), None)
    if opened.mode in _OF_BYTES:
        return Decoded(opened.convert("RGB"), None)
    raise DatasetInvalid(
        f"The image {file} has pixels of the form {opened.mode} (I: 32-bit numbers, F: floats), "
        "which have no known range; save it with 8 or 16 bits for each channel."
    )


def _scaled(opened: Image.Image) -> Decoded:
    """Scale 16 bits to 8, to the nearest: 0 stays 0, 65,535 becomes 255."""
    deep = numpy.asarray(opened).astype(numpy.uint32)
    shallow = (deep * 255 + _DEEPEST // 2) // _DEEPEST
    image = Image.fromarray(shallow.astype(numpy.uint8)).convert("RGB")
    return Decoded(image, int(deep.max()))


def _without_alpha(file: Path, opened: Image.Image) -> Image.Image:
    """Leave the alpha channel out, as other readers of such folders do, unless it is the image."""
    image = opened.convert("RGB")
    lowest, highest = opened.getchannel("A").getextrema()
    if lowest != highest and all(low == high for low, high in _extrema(image)):
        raise DatasetInvalid(
            f"The image {file} has its picture in the alpha channel alone, which is not read; "
            "save it with a background."
        )
    return image


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    return image.getextrema()  # type: ignore[return-value]

"""Image files of every form: scaled to bytes as they should be, or refused by their name."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from blockqnn_trainer.datasets.decoding import decode
from blockqnn_trainer.errors import DatasetInvalid

SHARED_FOLDER = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def save_png(values: numpy.ndarray, path: Path) -> None:
    Image.fromarray(values).save(path, format="PNG")


def save_tiff(values: numpy.ndarray, path: Path) -> None:
    Image.fromarray(values).save(path, format="TIFF")


def save_pgm(values: numpy.ndarray, path: Path) -> None:
    height, width = values.shape
    path.write_bytes(f"P5 {width} {height} 65535\n".encode() + values.astype(">u2").tobytes())


@SHARED_FOLDER
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
    st.sampled_from([save_png, save_tiff, save_pgm]),
)
def test_sixteen_bits_become_the_nearest_of_eight(
    tmp_path: Path,
    height: int,
    width: int,
    random: object,
    save: Callable[[numpy.ndarray, Path], None],
) -> None:
    values = numpy.array(
        [[random.randint(0, 65_535) for _ in range(width)] for _ in range(height)],  # type: ignore[attr-defined]
        dtype=numpy.uint16,
    )
    save(values, tmp_path / "deep")
    decoded = decode(tmp_path / "deep")
    expected = numpy.rint(values / 257).astype(numpy.uint8)
    assert decoded.image.mode == "RGB"
    assert numpy.asarray(decoded.image).tolist() == expected[..., None].repeat(3, 2).tolist()
    assert decoded.highest == values.max()


def grey_ramp() -> Image.Image:
    return Image.fromarray(numpy.arange(0, 240, 15, dtype=numpy.uint8).reshape(4, 4))


def coloured() -> Image.Image:
    values = numpy.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=numpy.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("RGB", "BMP"),
        ("RGBA", "PNG"),
        ("RGBA", "TIFF"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
    ],
)
def test_images_of_bytes_are_read_in_rgb(tmp_path: Path, mode: str, file_format: str) -> None:
    image = coloured().convert(mode)
    image.save(tmp_path / "image", format=file_format)
    expected = image.convert("RGB")
    assert numpy.asarray(decode(tmp_path / "image").image).tolist() == (
        numpy.asarray(expected).tolist()
    )


@pytest.mark.parametrize("transparency", [3, bytes([255, 0, 128, 7] * 64)])
def test_a_transparent_palette_is_read_in_its_colours(
    tmp_path: Path, transparency: int | bytes
) -> None:
    image = coloured().convert("P")
    image.save(tmp_path / "image.png", transparency=transparency)
    expected = numpy.asarray(image.convert("RGB"))
    assert numpy.asarray(decode(tmp_path / "image.png").image).tolist() == expected.tolist()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_picture_in_the_alpha_channel_alone_is_refused(tmp_path: Path, mode: str) -> None:
    image = Image.new("L", (4, 4), 0).convert(mode)
    image.putalpha(grey_ramp())
    image.save(tmp_path / "glyph.png")
    with pytest.raises(DatasetInvalid) as refused:
        decode(tmp_path / "glyph.png")
    assert str(refused.value) == (
        f"The image {tmp_path / 'glyph.png'} has its picture in the alpha channel alone, which is "
        "not read; save it with a background."
    )


@pytest.mark.parametrize(("kind", "mode"), [("float32", "F"), ("int32", "I")])
def test_numbers_without_a_known_range_are_refused(tmp_path: Path, kind: str, mode: str) -> None:
    save_tiff(numpy.linspace(0, 90_000, 16).reshape(4, 4).astype(kind), tmp_path / "a.tif")
    with pytest.raises(DatasetInvalid) as refused:
        decode(tmp_path / "a.tif")
    assert str(refused.value).startswith(
        f"The image {tmp_path / 'a.tif'} has pixels of the form {mode} (I: 32-bit numbers, F: "
    )


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file, also of the kinds that the library reads and does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + checksum

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour, 0, 0, 0])
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_sixteen_bits_of_colour_become_eight(tmp_path: Path, colour: int, channels: int) -> None:
    values = numpy.random.default_rng(0).integers(0, 65_536, (1, 9, channels))
    rows = b"\0" + values.astype(">u2").tobytes()
    (tmp_path / "a.png").write_bytes(png(9, 1, rows, 16, colour))
    shown = values[..., :3] if channels > 2 else values[..., :1].repeat(3, 2)
    read = numpy.asarray(decode(tmp_path / "a.png").image).astype(int)
    assert numpy.abs(read - shown / 257).max() < 1


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(60_000, 60_000, bytes(100)))
    with pytest.raises(DatasetInvalid) as refused:
        decode(tmp_path / "a.png")
    assert str(refused.value) == (
        f"The image {tmp_path / 'a.png'} cannot be read: it has more than 178,956,970 pixels; make "
        "it smaller, or remove it."
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (
            b"version https://git-lfs.example/spec/v1\noid sha256:0\nsize 3\n",
            "it is a git-lfs pointer, not the file itself; run git lfs pull where it was cloned, "
            "and copy it again",
        ),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "it has none of the formats JPEG, PNG, PPM, BMP, TIFF, WEBP, GIF, or its beginning is "
            "damaged",
        ),
    ],
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DatasetInvalid) as refused:
        decode(tmp_path / "a.jpg")
    assert str(refused.value) == f"The image {tmp_path / 'a.jpg'} cannot be read: {reason}."


def written(image: Image.Image, file_format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format)
    return buffer.getvalue()


WHOLE = {
    name: written(coloured().convert("P" if name == "GIF" else "RGB").resize((24, 24)), name)
    for name in ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
} | {"deep": written(Image.fromarray(numpy.arange(256, dtype=numpy.uint16).reshape(16, 16)), "PNG")}


@settings(SHARED_FOLDER, max_examples=300)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_a_damaged_image_is_read_or_refused_by_its_name(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]], kept: float
) -> None:
    content = bytearray(WHOLE[kind])
    for position, value in changes:
        content[position % len(content)] = value
    file = tmp_path / "image.png"
    file.write_bytes(content[: round(len(content) * kept) if kept < 0.5 else None])
    refusal = ""
    try:
        mode = decode(file).image.mode
    except DatasetInvalid as refused:
        mode, refusal = "", str(refused)
    assert mode == "RGB" or (str(file) in refusal and refusal.endswith("."))

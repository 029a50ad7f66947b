"""images: every kind of file becomes the same upright RGB array, and bad files one clear error."""

import io
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crowdpoint import images
from crowdpoint.errors import ImageError

WIDTH, HEIGHT = 24, 16


def picture() -> npt.NDArray[np.uint8]:
    """Four plain quarters: red, green, blue, grey. Blocks of 8 survive JPEG."""
    array = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    array[:8, :16] = (250, 20, 10)
    array[:8, 16:] = (20, 240, 30)
    array[8:, :16] = (10, 30, 245)
    array[8:, 16:] = (128, 128, 128)
    return array


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, color: int, pixels: bytes, *late: tuple[bytes, bytes]) -> bytes:
    """A PNG file by hand, for what Pillow cannot write; `late` chunks follow the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), *late, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 6),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_deflate"}, 0),
    ],
)
def test_read_formats(tmp_path: Path, file_format: str, options: dict[str, Any], tolerance: int) -> None:
    data = encoded(Image.fromarray(picture()), file_format, **options)
    path = tmp_path / "picture"
    path.write_bytes(data)
    array = images.read(path)
    assert array.shape == (HEIGHT, WIDTH, 3)
    assert array.dtype == np.uint8
    assert array.flags.writeable
    assert array.flags.c_contiguous
    assert np.abs(array.astype(int) - picture()).max() <= tolerance
    assert np.array_equal(array, images.read(str(path)))
    assert np.array_equal(array, images.read(data))
    assert images.read_size(path) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
def test_rgb_is_not_copied(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy would take four bytes for each pixel."""
    data = encoded(Image.fromarray(picture()), file_format)

    def refused(_: Image.Image) -> None:
        raise AssertionError("copied")

    monkeypatch.setattr(Image.Image, "copy", refused)
    assert images.read(data).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_read_cmyk(file_format: str) -> None:
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    array = images.read(encoded(Image.fromarray(picture()).convert("CMYK"), file_format, **options))
    assert np.abs(array.astype(int) - picture()).max() <= 6


def test_read_palette() -> None:
    array = images.read(encoded(Image.fromarray(picture()).quantize(4), "PNG"))
    assert np.abs(array.astype(int) - picture()).max() <= 4


@pytest.mark.parametrize("mode", ["L", "1"])
def test_read_grey(mode: str) -> None:
    grey = Image.fromarray(picture()).convert(mode, dither=Image.Dither.NONE)
    array = images.read(encoded(grey, "PNG"))
    assert np.array_equal(array, np.repeat(np.array(grey.convert("L"))[..., None], 3, axis=2))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composited_over_white(file_format: str) -> None:
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[:, 0] = (200, 0, 0, 255)
    rgba[:, 1] = (200, 0, 0, 0)
    rgba[:, 2] = (0, 100, 0, 128)
    options = {"lossless": True} if file_format == "WEBP" else {}
    array = images.read(encoded(Image.fromarray(rgba), file_format, **options))
    assert array[0].tolist() == [[200, 0, 0], [255, 255, 255], [127, 177, 127]]


def test_grey_with_alpha() -> None:
    array = images.read(encoded(Image.fromarray(np.array([[[50, 255], [50, 0]]], np.uint8), "LA"), "PNG"))
    assert array.tolist() == [[[50, 50, 50], [255, 255, 255]]]


def test_transparent_palette_entry() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    array = images.read(encoded(image, "PNG", transparency=1))
    assert array.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_transparent_color_key() -> None:
    image = Image.fromarray(np.array([[[1, 2, 3], [9, 8, 7]]], np.uint8))
    array = images.read(encoded(image, "PNG", transparency=(9, 8, 7)))
    assert array.tolist() == [[[1, 2, 3], [255, 255, 255]]]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_grey_of_16_bits_keeps_the_high_byte(file_format: str) -> None:
    samples = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    array = images.read(encoded(Image.fromarray(samples), file_format))
    assert array[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    assert (array == array[..., :1]).all()


def test_big_endian_tiff_of_16_bits() -> None:
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">2H", 256, 65535))
    assert images.read(encoded(image, "TIFF"))[0, :, 0].tolist() == [1, 255]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiff_whose_white_is_zero(kind: type[np.unsignedinteger[Any]]) -> None:
    samples = np.array([[0, np.iinfo(kind).max // 2, np.iinfo(kind).max]], kind)
    data = encoded(Image.fromarray(samples), "TIFF")
    photometric = struct.pack("<HHIH", 262, 3, 1, 1)
    assert data.count(photometric) == 1
    array = images.read(data.replace(photometric, struct.pack("<HHIH", 262, 3, 1, 0)))
    wanted = 255 - images.read(data)
    assert np.array_equal(array, wanted)
    assert wanted.any()


def test_transparent_grey_of_16_bits() -> None:
    samples = np.array([[512, 513]], np.uint16)
    array = images.read(encoded(Image.fromarray(samples), "PNG", transparency=513))
    assert array[0, :, 0].tolist() == [2, 255]


@pytest.mark.parametrize(
    ("color", "samples", "expected"),
    [
        (2, (0, 256, 65535), [[[0, 1, 255]]]),
        (6, (0, 256, 65535, 65535), [[[0, 1, 255]]]),
        (4, (512, 65535), [[[2, 2, 2]]]),
        (4, (512, 0), [[[255, 255, 255]]]),
    ],
)
def test_color_png_of_16_bits(color: int, samples: tuple[int, ...], expected: list[list[list[int]]]) -> None:
    data = png(1, 1, 16, color, b"\0" + struct.pack(f">{len(samples)}H", *samples))
    assert images.read(data).tolist() == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0.2, 0.2, 0.2]], np.float32), [51, 51, 51]),
        (np.array([[-10, 0, 10]], np.float32), [0, 128, 255]),
        (np.array([[0, np.nan, 100]], np.float32), [0, 0, 255]),
        (np.array([[7, 7, 7]], np.float32), [0, 0, 0]),
        (np.array([[1000, 2000, 3000]], np.int32), [0, 128, 255]),
    ],
)
def test_tiff_of_32_bits(samples: npt.NDArray[Any], expected: list[int]) -> None:
    assert images.read(encoded(Image.fromarray(samples), "TIFF"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(file_format: str, orientation: int) -> None:
    """The file stores the picture turned, as a camera does, and says how."""
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](picture())
    exif = Image.Exif()
    exif[0x0112] = orientation
    qualities: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    options = qualities.get(file_format, {})
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), file_format, exif=exif, **options)
    array = images.read(data)
    assert array.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(array.astype(int) - picture()).max() <= 6
    assert images.read_size(data) == (WIDTH, HEIGHT)


def test_png_orientation_behind_the_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(2, 1, 8, 0, b"\0\x0a\x14", (b"eXIf", exif.tobytes()[6:]))
    assert images.read(data)[:, 0, 0].tolist() == [10, 20]
    assert images.read_size(data) == (1, 2)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_unknown_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(picture()), "PNG", exif=exif)
    assert images.read_size(data) == (WIDTH, HEIGHT)
    assert np.array_equal(images.read(data), picture())


def test_damaged_exif_does_not_spoil_the_picture() -> None:
    data = encoded(Image.fromarray(picture()), "PNG", exif=b"Exif\0\0nonsense")
    assert np.array_equal(images.read(data), picture())


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@given(part=st.floats(0, 0.9))
def test_truncated(file_format: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), file_format)
    with pytest.raises(ImageError, match="image bytes"):
        images.read(data[: int(part * len(data))])


@pytest.mark.parametrize(
    "data", [b"", b"hello, this is text", b"\xff\xd8\xff", b"GIF89a\1\0\1\0", bytes(100)]
)
def test_not_an_image(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(data)
    for read in (images.read, images.read_size):
        with pytest.raises(ImageError, match=r"broken\.jpg") as caught:
            read(path)
        assert ("empty" in str(caught.value)) == (data == b"")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: .*No such file"):
        images.read(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="directory"):
        images.read(tmp_path)


def test_pixel_limit_is_exact() -> None:
    data = encoded(Image.fromarray(picture()), "PNG")
    assert images.read(data, pixel_limit=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageError, match=r"24 x 16 pixels; the limit is 383 pixels"):
        images.read(data, pixel_limit=WIDTH * HEIGHT - 1)


def huge(file_format: str) -> bytes:
    """A small file whose header claims at least 200 megapixels."""
    if file_format == "PNG":
        return png(2**31 - 1, 2**31 - 1, 8, 2, b"")
    if file_format == "BMP":
        return (
            b"BM"
            + struct.pack("<IHHI", 54, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, 2**30, 2**30, 1, 24, *[0] * 6)
        )
    data = bytearray(encoded(Image.new("RGB", (8, 8)), file_format))
    if file_format == "JPEG":
        start = data.index(b"\xff\xc0") + 5
        data[start : start + 4] = b"\xff\xff\xff\xff"
    elif file_format == "TIFF":
        for tag in (256, 257):
            entry = data.index(struct.pack("<HHI", tag, 4, 1))
            data[entry + 8 : entry + 12] = struct.pack("<I", 2**30)
    else:
        data = bytearray(encoded(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "WEBP", lossless=True))
        start = data.index(b"VP8L") + 9
        bits = struct.unpack_from("<I", data, start)[0] | 0xFFFFFFF
        struct.pack_into("<I", data, start, bits)
    return bytes(data)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_huge_header_takes_no_memory(file_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pixels(*args: object) -> None:
        raise AssertionError("pixels were asked for")

    monkeypatch.setattr("PIL._imaging.new", no_pixels)
    monkeypatch.setattr("PIL._webp.WebPAnimDecoder", no_pixels)
    with pytest.raises(ImageError, match="the limit is 100000000 pixels"):
        images.read(huge(file_format), pixel_limit=100_000_000)


def test_own_limit_replaces_that_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would refuse these sizes; its setting belongs to the host program and stays."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for file_format in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        assert images.read(encoded(Image.fromarray(picture()), file_format)).shape == (HEIGHT, WIDTH, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_threads_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    data = encoded(Image.fromarray(picture()), "TIFF")
    good: list[bool] = []

    def work() -> None:
        good.extend(np.array_equal(images.read(data), picture()) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert good == [True] * 200
    assert Image.MAX_IMAGE_PIXELS == 10

"""images: every kind of file becomes the same upright RGB array, and bad files one clear error."""

import io
import re
import struct
import sys
import threading
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from crowdpoint import images, memory
from crowdpoint.errors import ImageError, ImageTooLargeError

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


def read(data: bytes) -> npt.NDArray[np.uint8]:
    """The array of a file, which a PIL image of it gives, too, more than once."""
    array = images.read(data)
    with Image.open(io.BytesIO(data)) as opened:
        for _ in range(2):
            assert np.array_equal(images.from_pillow(opened), array)
    return array


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
    """A copy would take four bytes for each pixel; strips of it may be copied."""
    data = encoded(Image.fromarray(picture()), file_format)
    monkeypatch.setattr(images, "_STRIP_PIXELS", 3 * WIDTH)

    def refused(_: Image.Image) -> None:
        raise AssertionError("copied")

    monkeypatch.setattr(Image.Image, "copy", refused)
    assert images.read(data).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_read_cmyk(file_format: str) -> None:
    options = {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    array = read(encoded(Image.fromarray(picture()).convert("CMYK"), file_format, **options))
    assert np.abs(array.astype(int) - picture()).max() <= 6


def test_read_palette() -> None:
    array = read(encoded(Image.fromarray(picture()).quantize(4), "PNG"))
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
    array = read(encoded(image, "PNG", transparency=1))
    assert array.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_transparent_color_key() -> None:
    image = Image.fromarray(np.array([[[1, 2, 3], [9, 8, 7]]], np.uint8))
    array = read(encoded(image, "PNG", transparency=(9, 8, 7)))
    assert array.tolist() == [[[1, 2, 3], [255, 255, 255]]]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_grey_of_16_bits(file_format: str) -> None:
    samples = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    array = images.read(encoded(Image.fromarray(samples), file_format))
    assert array[0, :, 0].tolist() == [0, 1, 1, 128, 255]
    assert (array == array[..., :1]).all()


def ramp(white: int, kind: type[np.generic] = np.uint16) -> npt.NDArray[Any]:
    """A picture of three colours (40, 40, 3) that uses all samples up to `white`."""
    steps = np.linspace(0, white, 1600).reshape(40, 40)
    return np.stack([steps, steps[::-1], steps.T], axis=2).astype(kind)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_colors_of_few_bits_in_16_are_not_dark(bits: int, caplog: pytest.LogCaptureFixture) -> None:
    samples = ramp(2**bits - 1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    array = images.read(png(40, 40, 16, 2, rows))
    assert np.abs(array - samples * (255 / (2**bits - 1))).max() <= 0.5
    guesses = [] if bits == 16 else [f"image bytes: .* using 0 and {2**bits - 1}"]
    assert len(caplog.messages) == len(guesses)
    for guess, message in zip(guesses, caplog.messages, strict=True):
        assert re.match(guess, message)
    assert np.array_equal(images.from_pillow(Image.open(io.BytesIO(png(40, 40, 16, 2, rows)))), array)


def test_a_pil_image_is_the_frame_that_it_shows() -> None:
    shades = [Image.new("L", (4, 3), shade) for shade in (10, 120, 250)]
    with Image.open(io.BytesIO(encoded(shades[0], "GIF", save_all=True, append_images=shades[1:]))) as opened:
        for frame in (2, 0, 1):
            opened.seek(frame)
            assert np.array_equal(images.from_pillow(opened), np.full((3, 4, 3), (10, 120, 250)[frame]))


def tiff_in_planes(samples: npt.NDArray[Any]) -> bytes:
    """An uncompressed TIFF file of colours (H, W, 3) in planes, by hand, because Pillow writes none."""
    height, width, _ = samples.shape
    size = samples[..., 0].nbytes
    entries = {256: width, 257: height, 259: 1, 262: 2, 277: 3, 278: height, 284: 2, 339: 1}
    start = 8 + 2 + 12 * (len(entries) + 3) + 4
    late = struct.pack("<3H", *[samples.itemsize * 8] * 3) + b"\0\0"
    late += struct.pack("<3I", *(start + 32 + band * size for band in range(3))) + struct.pack(
        "<3I", *[size] * 3
    )
    rows = [(tag, 4, 1, value) for tag, value in entries.items()]
    rows += [(258, 3, 3, start), (273, 4, 3, start + 8), (279, 4, 3, start + 20)]
    directory = b"".join(struct.pack("<HHII", *row) for row in sorted(rows))
    planes = np.ascontiguousarray(samples.transpose(2, 0, 1)).tobytes()
    return b"II*\0" + struct.pack("<IH", 8, len(rows)) + directory + bytes(4) + late + planes


@pytest.mark.parametrize("white", [4095, 65535])
def test_colors_of_16_bits_in_planes(white: int) -> None:
    samples = ramp(white)
    array = read(tiff_in_planes(samples))
    assert np.abs(array - samples * (255 / white)).max() <= 0.5


def test_unsigned_grey_of_32_bits() -> None:
    samples = ramp(2**32 - 1, np.uint32)[..., 0]
    data = encoded(Image.fromarray(samples.view(np.int32)), "TIFF")
    signed = struct.pack("<HHIH", 339, 3, 1, 2)
    assert data.count(signed) == 1
    array = read(data.replace(signed, struct.pack("<HHIH", 339, 3, 1, 1)))
    assert np.abs(array[..., 0] - samples * (255 / (2**32 - 1))).max() <= 0.5


def test_colors_that_pillow_cannot_read_name_the_extra() -> None:
    data = tiff_in_planes(ramp(1, np.float32))
    with pytest.raises(ImageError, match=r"crowdpoint\[geo\]"):
        images.read(data.replace(struct.pack("<HHII", 339, 4, 1, 1), struct.pack("<HHII", 339, 4, 1, 3)))


def test_bmp_without_any_alpha_is_opaque() -> None:
    rgba = np.dstack([picture(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    plain = encoded(Image.fromarray(rgba), "BMP")
    pixels = plain[-rgba.nbytes :]
    # A header of version 4, whose masks name a fourth byte.
    header = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(108 - 56)
    data = b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 14 + 108) + header + pixels
    assert Image.open(io.BytesIO(data)).mode == "RGBA"
    assert np.array_equal(read(data), picture())


@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("GIF", {}, 4),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 6),
        ("JPEG2000", {}, 0),
        ("HEIF", {"quality": -1}, 4),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_formats_of_phones(
    file_format: str, options: dict[str, Any], tolerance: int, orientation: int
) -> None:
    if file_format == "HEIF":
        pytest.importorskip(
            "pillow_heif", reason="pillow-heif is not installed: pip install -e '.[heif]'"
        ).register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = file_format == "AVIF" and orientation == 6  # HEIC files are turned by a box of their own
    data = encoded(Image.fromarray(picture()), file_format, **options, **({"exif": exif} if turned else {}))
    array = images.read(data)
    wanted = np.rot90(picture(), -1) if turned else picture()
    assert array.shape == wanted.shape
    assert np.abs(array.astype(int) - wanted).mean() <= tolerance
    assert images.read_size(data) == wanted.shape[1::-1]


def test_heic_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"HEIC.*crowdpoint\[heif\]"):
        images.read(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


def test_a_header_that_claims_more_pixels_than_the_file_can_store() -> None:
    """The decoder would fill up what is missing with grey."""
    data = bytearray(encoded(Image.fromarray(picture()), "JPEG"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", 30_000, 30_000)
    with pytest.raises(ImageError, match=r"30000 x 30000 pixels, .* at most .*; it is truncated"):
        images.read(bytes(data))


def test_a_canvas_larger_than_its_frames() -> None:
    """An animation may have a frame of a few pixels on a canvas of 268 megapixels."""
    frames = [Image.fromarray(picture()), Image.fromarray(picture()[::-1])]
    data = bytearray(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    start = data.index(b"VP8X") + 12
    data[start : start + 6] = b"\xff\x3f\0" * 2
    with pytest.raises(ImageError, match=r"16384 x 16384 pixels, but its bytes hold at most 67108864"):
        images.read(bytes(data))


def test_images_that_exceed_the_free_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(picture()), "WEBP")
    monkeypatch.setattr(memory, "get_available", lambda: 2 * images.PIXEL_BYTES * WIDTH * HEIGHT)
    assert images.read(data).shape == (HEIGHT, WIDTH, 3)
    monkeypatch.setattr(memory, "get_available", lambda: 2 * images.PIXEL_BYTES * WIDTH * HEIGHT - 1)
    with pytest.raises(ImageTooLargeError, match=r"decoding 24 x 16 pixels takes .* GB is free"):
        images.read(data)


def test_out_of_memory_is_not_reported_as_truncation(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> None:
        raise MemoryError

    data = encoded(Image.fromarray(picture()), "PNG")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", out_of_memory)
    with pytest.raises(ImageTooLargeError, match="out of memory"):
        images.read(data)


def test_big_endian_tiff_of_16_bits() -> None:
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">2H", 256, 65535))
    assert read(encoded(image, "TIFF"))[0, :, 0].tolist() == [1, 255]


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiff_whose_white_is_zero(kind: type[np.unsignedinteger[Any]]) -> None:
    samples = np.array([[0, np.iinfo(kind).max // 2, np.iinfo(kind).max]], kind)
    data = encoded(Image.fromarray(samples), "TIFF")
    photometric = struct.pack("<HHIH", 262, 3, 1, 1)
    assert data.count(photometric) == 1
    array = read(data.replace(photometric, struct.pack("<HHIH", 262, 3, 1, 0)))
    wanted = 255 - read(data)
    assert np.array_equal(array, wanted)
    assert wanted.any()


def test_transparent_grey_of_16_bits() -> None:
    samples = np.array([[512, 513]], np.uint16)
    array = read(encoded(Image.fromarray(samples), "PNG", transparency=513))
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
    assert read(data).tolist() == expected


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0.2, 0.2, 0.2]], np.float32), [51, 51, 51]),
        (np.array([[-10, 0, 10]], np.float32), [0, 128, 255]),
        (np.array([[0, np.nan, 255]], np.float32), [0, 0, 255]),
        (np.array([[7, 7, 7]], np.float32), [0, 0, 0]),
        (np.array([[-1000, 0, 1000]], np.int32), [0, 128, 255]),
    ],
)
def test_tiff_of_32_bits(samples: npt.NDArray[Any], expected: list[int]) -> None:
    assert read(encoded(Image.fromarray(samples), "TIFF"))[0, :, 0].tolist() == expected


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
    array = read(data)
    assert array.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(array.astype(int) - picture()).max() <= 6
    assert images.read_size(data) == (WIDTH, HEIGHT)


def test_png_orientation_after_the_pixel_data() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(2, 1, 8, 0, b"\0\x0a\x14", (b"eXIf", exif.tobytes()[6:]))
    assert read(data)[:, 0, 0].tolist() == [10, 20]
    assert images.read_size(data) == (1, 2)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_unknown_orientation_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(picture()), "PNG", exif=exif)
    assert images.read_size(data) == (WIDTH, HEIGHT)
    assert np.array_equal(images.read(data), picture())


def test_damaged_exif_is_ignored() -> None:
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
    "data", [b"", b"hello, this is text", b"\xff\xd8\xff", b"GIF89b\1\0\1\0", bytes(100)]
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


def test_the_pixel_limit_replaces_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would refuse these sizes; its setting belongs to the host program and stays."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for file_format in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        assert images.read(encoded(Image.fromarray(picture()), file_format)).shape == (HEIGHT, WIDTH, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_concurrent_reads_keep_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize(
    ("factor", "max_side", "expected"),
    [
        (1.0, None, (300, 200)),
        (0.5, None, (150, 100)),
        (1.0, 60, (60, 40)),
        (2.0, 450, (450, 300)),
        (0.1, 60, (30, 20)),
        (1.0, 400, (300, 200)),
        (0.001, None, (1, 1)),
    ],
)
def test_scaled_sizes(factor: float, max_side: int | None, expected: tuple[int, int]) -> None:
    assert images.scaled_size((300, 200), factor, max_side) == expected


@pytest.mark.parametrize(("enlarge", "overshoots"), [("cubic", True), ("linear", False)])
def test_only_cubic_enlargement_overshoots(enlarge: Literal["cubic", "linear"], overshoots: bool) -> None:
    step = np.repeat(np.array([[0, 0, 1, 1]], np.float32), 4, axis=0)
    enlarged = images.resize(step, (16, 16), enlarge)
    assert bool((enlarged > 1).any()) == overshoots
    assert images.resize(enlarged, (4, 4), enlarge).shape == (4, 4)


def test_the_preview_of_a_raw_file_is_refused(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 1
    Image.new("RGB", (16, 12)).save(
        tmp_path / "a.dng",
        format="TIFF",
        tiffinfo=tags,
        save_all=True,
        append_images=[Image.new("RGB", (160, 120))],
    )
    with pytest.raises(ImageError, match=r"a\.dng: begins with a preview, as the raw file of a camera does"):
        images.read(tmp_path / "a.dng")

"""JPEG 2000 pictures that are damaged, read through GDAL and through Pillow."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from drawn_rasters import noise
from PIL import Image

from crowdpoint import containers, images
from crowdpoint.errors import ImageError, ImageTooLargeError
from crowdpoint.rasters import Raster


def _jpeg_2000(path: Path, rows: int, boxes: bool = False, **tiles: Any) -> Path:
    """A JPEG 2000 picture of 22x118 pixels whose header claims `rows` rows."""
    stream = io.BytesIO()
    Image.fromarray(noise(118, 22)).save(stream, "JPEG2000", no_jp2=not boxes, **tiles)
    content = bytearray(stream.getvalue())
    places = [content.find(b"\xff\x4f\xff\x51") + 12] + ([content.find(b"ihdr") + 4] if boxes else [])
    for at in places:
        content[at : at + 4] = rows.to_bytes(4, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("boxes", [False, True])
def test_jpeg_2000_pictures_that_their_bytes_cannot_hold(tmp_path: Path, boxes: bool) -> None:
    claims = {"tiles": 118 * 700, "pixels": 4_194_304}
    for name, rows in claims.items():
        size = (22, 118) if name == "tiles" else (22, 1 << 20)
        path = _jpeg_2000(tmp_path / f"{name}.jp2", rows, boxes, tile_size=size)
        with pytest.raises(ImageTooLargeError, match=rf"{name}\.jp2: its header claims {22 * rows} pixels"):
            Raster(path)
        with pytest.raises(ImageError, match="its header claims"):
            images.read(path.read_bytes())


def test_missing_parts_of_jpeg_2000_pictures_are_errors_and_not_black(tmp_path: Path) -> None:
    with Raster(_jpeg_2000(tmp_path / "a.jp2", 118)) as raster:
        assert raster.read((0, 0, 22, 118)) is not None
    path = _jpeg_2000(tmp_path / "b.jp2", 1000)
    with ThreadPoolExecutor(1) as other:
        opened = Raster(path), other.submit(Raster, path).result()  # GDAL's settings are those of a thread
    for raster in opened:
        with raster:
            for _ in range(2):  # an error that GDAL still holds must not leave by another way
                with pytest.raises(ImageError, match=r"b\.jp2: cannot read window .*\(.*decoded_tile"):
                    raster.read((0, 0, 22, 1000), (22, 100))


def test_boxes_that_gdal_reads_forever_are_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (40, 30)).save(stream, "JPEG2000")
    content = bytearray(stream.getvalue())
    whole, endless = tmp_path / "whole.jp2", tmp_path / "endless.jp2"
    whole.write_bytes(content + b"a trailer, which some programs write")
    at = content.find(b"cdef") - 4  # inside the box jp2h
    content[at : at + 4] = bytes(4)
    endless.write_bytes(content)
    with Raster(whole) as raster:
        assert raster.size == (40, 30)
    with pytest.raises(
        ImageError, match=r"endless\.jp2: .*its box b'cdef' at byte \d+ has a wrong length of 0"
    ):
        Raster(endless)


@pytest.mark.parametrize("length", [0, 1 << 20])
def test_a_box_that_does_not_fit_does_not_hide_the_claimed_pixels(tmp_path: Path, length: int) -> None:
    path = _jpeg_2000(tmp_path / "a.jp2", 118 * 700, boxes=True, tile_size=(22, 118))
    content = bytearray(path.read_bytes())
    at = content.find(b"colr") - 4
    content[at : at + 4] = length.to_bytes(4, "big")
    claimed, most = containers.max_jpeg_2000_pixels(io.BytesIO(content))
    assert claimed == 22 * 118 * 700 > most


def test_a_picture_within_another_box_is_not_the_picture() -> None:
    def box(kind: bytes, content: bytes) -> bytes:
        return (8 + len(content)).to_bytes(4, "big") + kind + content

    inner = box(b"jp2h", box(b"jp2c", b"inner") + box(b"colr", b""))
    content = inner + box(b"jp2c", b"outer") + box(b"xml ", b"")
    found = list(containers.walk_boxes(io.BytesIO(content), len(content)))
    assert [(box.kind, box.depth, box.is_picture) for box in found] == [
        (b"jp2h", 0, False),
        (b"jp2c", 1, False),
        (b"colr", 1, False),
        (b"jp2c", 0, True),
    ]
    assert content[found[-1].content :].startswith(b"outer")

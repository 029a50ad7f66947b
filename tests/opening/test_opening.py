"""Every kind of input becomes the same opened image."""

import gzip
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO

import fsspec
import numpy as np
import numpy.typing as npt
import pytest
from drawn_rasters import bands, noise, write_raster
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from crowdpoint import images, memory, rasters
from crowdpoint.errors import ConfigError, ImageError, ImageTooLargeError
from crowdpoint.opening import OpenedImage, open_image
from crowdpoint.rasters import Raster

PICTURE = noise(20, 30)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(PICTURE).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _require_complete(image: OpenedImage) -> npt.NDArray[np.uint8]:
    pixels = image.resize(image.size)((0, 0, *image.size))
    assert pixels is not None
    return pixels


def _copy(path: Path) -> object:
    copy = tempfile.NamedTemporaryFile()  # noqa: SIM115  the test closes it
    copy.write(path.read_bytes())
    copy.seek(0)
    return copy


SOURCES: dict[str, Callable[[Path], object]] = {
    "path": lambda path: path,
    "text": str,
    "file URL": lambda path: f"file://{path}",
    "file URL with a host": lambda path: f"file://localhost{path}",
    "file URL in capitals": lambda path: f"FILE://{path}",
    "bytes": Path.read_bytes,
    "file": lambda path: io.BytesIO(path.read_bytes()),
    "temporary file": _copy,
    "pixels": lambda _: PICTURE,
    "PIL": Image.open,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_image(kind: str, photo: Path) -> None:
    source = SOURCES[kind](photo)
    with open_image(source) as image:  # type: ignore[arg-type]  # one of every kind
        assert (image.size, image.place, image.in_memory) == ((30, 20), None, True)
        assert image.name == (str(source) if isinstance(source, str | Path) else "image")
        np.testing.assert_array_equal(_require_complete(image), PICTURE)
        assert image.thumbnail(15).shape == (10, 15, 3)
        half = image.resize((15, 10))((5, 2, 9, 8))
        assert half is not None
        np.testing.assert_array_equal(half, images.resize(PICTURE, (15, 10))[2:8, 5:9])
        with open_image(image) as again:
            assert again is image
    if hasattr(source, "close"):
        source.close()


def _open_damaged_member(folder: Path) -> IO[bytes]:
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        archive.writestr("a.png", _png())
    content = (folder / "photos.zip").read_bytes()
    (folder / "photos.zip").write_bytes(content.replace(b"IDAT", b"idat"))
    return zipfile.ZipFile(folder / "photos.zip").open("a.png")


def _open_closed(folder: Path) -> IO[bytes]:
    file = io.BytesIO(_png())
    file.close()
    return file


UNREADABLE: dict[str, tuple[Callable[[Path], IO[bytes] | io.BufferedIOBase], str]] = {
    "a damaged member of an archive": (_open_damaged_member, "Bad CRC-32"),
    "a compressed file that is cut": (
        lambda _: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(_png())[:-9])),
        "ended before the end",
    ),
    "a closed file": (_open_closed, "closed file"),
    "a file that is open for writing": (lambda folder: (folder / "a.png").open("wb"), "read"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_open_files_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    create, reason = UNREADABLE[kind]
    with (
        closing(create(tmp_path)) as file,
        pytest.raises(ImageError, match=rf"image: cannot read this open file: .*{reason}"),
        open_image(file),
    ):
        pass


def test_a_file_in_a_store() -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed: pip install -e '.[batch]'")
    store = fsspec.filesystem("memory")
    store.pipe("/opening/photo.png", images_bytes := _png())
    with open_image("memory://opening/photo.png") as image:
        assert image.name == "memory://opening/photo.png"
        np.testing.assert_array_equal(_require_complete(image), images.read(images_bytes))
    for url, message in (
        ("memory://opening/none.png", r"memory://opening/none\.png: download failed"),
        ("memory://opening/photo.txt", r"memory://opening/photo\.txt: not a JPEG"),
    ):
        store.pipe("/opening/photo.txt", b"text")
        with pytest.raises(ImageError, match=message), open_image(url):
            pass
    with pytest.raises(ConfigError, match="nosuch"), open_image("nosuch://a/b.png"):
        pass


def _png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "PNG")
    return stream.getvalue()


def test_rasters_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "a.tif", bands(PICTURE))

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("decoded whole")

    monkeypatch.setattr(images, "read", refused)
    with Raster(path) as raster:
        for source in (path, str(path), f"file://{path}", raster):
            with open_image(source) as image:
                assert (image.name, image.size, image.in_memory) == (str(path), (30, 20), False)
                assert image.place == raster.place
                assert image.place is not None
                np.testing.assert_array_equal(_require_complete(image), PICTURE)
                window = image.resize((15, 10))((5, 2, 9, 8))
                assert window is not None
                np.testing.assert_array_equal(window, raster.read((10, 4, 18, 16), (4, 6)))
                np.testing.assert_array_equal(image.thumbnail(15), raster.thumbnail(15))


@pytest.mark.parametrize(("limit", "whole"), [(600, True), (599, False)])
def test_rasters_without_georeference_are_photos_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, whole: bool
) -> None:
    deep = bands(PICTURE).astype(np.uint16) * 257
    with pytest.warns(NotGeoreferencedWarning):
        path = write_raster(tmp_path / "a.tif", deep, crs=None, transform=None)
    monkeypatch.setattr(rasters, "PHOTO_PIXELS", limit)
    with open_image(path) as image, open_image(PICTURE) as photo:
        assert (image.name, image.size, image.in_memory) == (str(path), (30, 20), whole)
        found, expected = (opened.resize((45, 30))((0, 0, 45, 30)) for opened in (image, photo))
    assert found is not None
    assert expected is not None
    assert np.array_equal(found, expected) == whole


def test_a_deep_photo_of_more_than_4_megapixels_is_decoded_whole(tmp_path: Path) -> None:
    blank = np.zeros((3, 2050, 2050), np.uint16)
    with pytest.warns(NotGeoreferencedWarning):
        path = write_raster(tmp_path / "a.tif", blank, SPARSE_OK=True, crs=None, transform=None)
    with open_image(path) as image:
        assert image.in_memory


def test_rasters_are_decoded_whole_only_if_the_memory_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(NotGeoreferencedWarning):
        path = write_raster(
            tmp_path / "a.jp2", bands(PICTURE), driver="JP2OpenJPEG", crs=None, transform=None
        )
    on_map = write_raster(tmp_path / "map.tif", bands(PICTURE))
    monkeypatch.setattr(memory, "get_available", lambda: images.PIXEL_BYTES * 30 * 20 - 1)
    with open_image(on_map) as image:
        assert not image.in_memory
    with pytest.raises(ImageTooLargeError, match=r"a\.jp2: decoding 30 x 20 pixels takes"), open_image(path):
        pass
    monkeypatch.setattr(memory, "get_available", lambda: images.PIXEL_BYTES * 30 * 20)
    with open_image(path) as image:
        assert image.in_memory


def test_pil_images_are_as_their_files(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right
    clear = np.dstack((PICTURE, np.full(PICTURE.shape[:2], 128, np.uint8)))
    Image.fromarray(PICTURE).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(PICTURE[..., 0].astype(np.uint16) << 8).save(tmp_path / "deep.png")
    Image.fromarray(PICTURE).convert("P").save(tmp_path / "palette.png")
    for path in sorted(tmp_path.iterdir()):
        with Image.open(path) as pil, open_image(pil) as image:
            np.testing.assert_array_equal(_require_complete(image), images.read(path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([1, 2], "expected a path, a URL, .* found list"),
        (None, "expected a path, .* found NoneType"),
        (np.zeros((4, 4), np.uint8), r"expected an RGB array of shape \(H, W, 3\), found \(4, 4\)"),
        (np.zeros((4, 4, 3)), "expected uint8 values in .*, found an array of float64"),
        (Image.new("RGB", (0, 3)), "expected a PIL image with pixels, found one of 0x3"),
        (b"", "the file is empty"),
    ],
)
def test_inputs_that_are_not_images(source: object, message: str) -> None:
    with pytest.raises(ImageError, match=f"^image.*: {message}"), open_image(source):  # type: ignore[arg-type]
        pass


def test_a_pil_image_whose_file_is_damaged(photo: Path) -> None:
    photo.write_bytes(photo.read_bytes()[:600])
    with (
        Image.open(photo) as pil,
        pytest.raises(ImageError, match="image: cannot decode this PIL image"),
        open_image(pil),
    ):
        pass


def test_enlarged_images_have_a_pixel_limit(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "PIXEL_LIMIT", 1000)
    with open_image(photo) as image, pytest.raises(ImageTooLargeError) as caught:
        image.resize((60, 40))
    assert str(caught.value).startswith(f"{photo}: scale 2 enlarges 30x20 to 60x40 pixels, the limit is 1000")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders")
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ImageError, match="expected an image file, found a pipe"), open_image(tmp_path / name):
        pass

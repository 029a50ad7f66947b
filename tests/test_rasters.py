import importlib.util
import io
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from drawn_rasters import MAP, bands, noise, write_raster
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from crowdpoint import gdal, images, rasters
from crowdpoint.errors import ImageError, ImageTooLargeError, MissingExtraError
from crowdpoint.rasters import Georeference, Raster, is_raster

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def test_windows_are_those_of_the_whole_image(tmp_path: Path) -> None:
    picture = noise(90, 130)
    path = write_raster(tmp_path / "a.tif", bands(picture), tiled=True, blockxsize=32, blockysize=32)
    np.testing.assert_array_equal(images.read(path), picture)
    with Raster(path) as raster:
        assert raster.size == (130, 90)
        for left, top, right, bottom in ((0, 0, 130, 90), (31, 17, 66, 80), (129, 89, 130, 90)):
            window = raster.read((left, top, right, bottom))
            assert window is not None
            assert window.flags.c_contiguous
            np.testing.assert_array_equal(window, picture[top:bottom, left:right])
        np.testing.assert_array_equal(raster.thumbnail(130), picture)


def _first(path: Path) -> npt.NDArray[np.uint8]:
    with Raster(path) as raster:
        picture = raster.read((0, 0, *raster.size))
    assert picture is not None
    return picture


def test_bands_are_chosen_by_their_colours(tmp_path: Path) -> None:
    picture = noise(8, 9)
    red, green, blue = bands(picture)
    infrared = np.full_like(red, 7)
    undefined = (ColorInterp.undefined,) * 4
    cases: dict[str, tuple[list[npt.NDArray[np.uint8]], tuple[ColorInterp, ...]]] = {
        "bgr": ([infrared, blue, green, red], (ColorInterp.undefined, *RGB[::-1])),
        "none": ([red, green, blue, infrared], undefined),
        "grey": ([red], (ColorInterp.gray,)),
        "two": ([red, infrared], (ColorInterp.gray, ColorInterp.undefined)),
    }
    for name, (samples, colors) in cases.items():
        found = _first(write_raster(tmp_path / f"{name}.tif", np.stack(samples), colors=colors))
        expected = picture if len(samples) > 2 else np.repeat(red[..., None], 3, axis=2)
        np.testing.assert_array_equal(found, expected, name)


def test_a_palette(tmp_path: Path) -> None:
    indices = np.array([[[0, 1], [1, 2]]], np.uint8)
    palette = {0: (1, 2, 3, 255), 1: (250, 0, 9, 255), 2: (4, 5, 6, 255)}
    found = _first(write_raster(tmp_path / "a.tif", indices, palette=palette))
    assert found.tolist() == [[[1, 2, 3], [250, 0, 9]], [[250, 0, 9], [4, 5, 6]]]


def test_deep_samples_are_stretched_alike_in_every_window(tmp_path: Path) -> None:
    """12 bits in 16, in every colour the same: the high byte alone would leave 16 levels."""
    samples = np.tile(np.linspace(0, 4095, 400).astype(np.uint16).reshape(1, 20, 20), (3, 1, 1))
    samples[2] //= 2
    for path in (
        write_raster(tmp_path / "a.tif", samples),
        write_raster(tmp_path / "b.tif", samples.astype(np.float32) / 4095 - 3),
    ):
        whole = _first(path)
        assert len(np.unique(whole[..., 0])) > 200
        assert whole[0, 0].tolist() == [0, 0, 0]
        assert whole[-1, -1, 0] == 255
        assert abs(int(whole[-1, -1, 2]) - 128) < 3  # colours keep their balance
        with Raster(path) as raster:
            part = raster.read((5, 5, 9, 8))
        np.testing.assert_array_equal(part, whole[5:8, 5:9])


def test_no_data_is_white_and_ignored_by_the_levels(tmp_path: Path) -> None:
    deep = np.full((3, 40, 40), -9999, np.float32)
    deep[:, :10, :20] = np.linspace(0.2, 0.3, 200).reshape(10, 20)
    nan = np.where(deep == -9999, np.nan, deep)
    shallow = np.where(deep == -9999, 0, 100).astype(np.uint8)
    alpha = np.where(deep[:1] == -9999, 0, 255).astype(np.uint8)
    paths = (
        write_raster(tmp_path / "value.tif", deep, nodata=-9999),
        write_raster(tmp_path / "nan.tif", nan),
        write_raster(tmp_path / "shallow.tif", shallow, nodata=0),
        write_raster(
            tmp_path / "alpha.tif", np.concatenate((shallow, alpha)), colors=(*RGB, ColorInterp.alpha)
        ),
    )
    for path in paths:
        picture = _first(path)
        assert (picture[10:] == 255).all()
        assert (picture[:, 20:] == 255).all()
        inside = picture[:10, :20]
        assert (inside == 100).all() if picture[0, 0, 0] == 100 else inside.std() > 60
        with Raster(path) as raster:
            assert raster.read((20, 10, 40, 40)) is None


def test_resized_windows_align_with_the_whole_image(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, dtype=np.uint8), (3, 60, 240))
    with Raster(write_raster(tmp_path / "a.tif", np.ascontiguousarray(ramp))) as raster:
        small = raster.thumbnail(80)
        assert small.shape == (20, 80, 3)
        np.testing.assert_allclose(small[..., 0], np.tile(3 * np.arange(80) + 1, (20, 1)), atol=1)
        large = raster.read((30.5, 0, 40.5, 10), (40, 40))
    assert large is not None
    np.testing.assert_allclose(large[20, 8:-8, 1], 30 + (np.arange(40) / 4 + 0.125)[8:-8], atol=1)


def test_reduced_by_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "a.tif", bands(noise(200, 150)))
    with Raster(path) as raster:
        at_once = raster.thumbnail(100)
        monkeypatch.setattr(rasters, "_STRIP_PIXELS", 75 * 8)
        by_strips = raster.thumbnail(100)
    assert at_once.shape == (100, 75, 3)
    np.testing.assert_array_equal(by_strips, at_once)


def test_the_georeference(tmp_path: Path) -> None:
    with Raster(write_raster(tmp_path / "a.tif", bands(noise(4, 6)))) as raster:
        place = raster.place
    assert place == Georeference("EPSG:32632", (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_300_000.0))
    xy = np.array([[0, 0], [6, 4]], np.float32)
    assert place.to_map(xy).tolist() == [[500_000, 5_300_000], [500_003, 5_299_998]]
    (corner, opposite) = place.to_longitude_latitude(xy)
    np.testing.assert_allclose(corner, (9, 47.853342), atol=1e-6)
    assert opposite[0] > 9
    assert opposite[1] < corner[1]


def test_a_rotated_georeference_and_a_system_without_a_code(tmp_path: Path) -> None:
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    path = write_raster(tmp_path / "a.tif", bands(noise(4, 4)), crs=local)
    with Raster(path) as raster:
        place = raster.place
    assert place is not None
    assert place.crs.startswith("LOCAL_CS")
    with pytest.raises(ImageError, match=r"cannot be converted to .*; write a GeoPackage"):
        place.to_longitude_latitude(np.zeros((1, 2), np.float32))
    place = Georeference("EPSG:32632", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    with pytest.raises(ImageError, match="EPSG:32632: coordinates cannot be converted"):
        place.to_longitude_latitude(np.full((1, 2), 1e8, np.float32))
    turned = Georeference("EPSG:32632", (0.0, -2.0, 10.0, 3.0, 0.0, 20.0))
    assert turned.to_map(np.array([[1, 5]], np.float32)).tolist() == [[0, 23]]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # of writing them
@pytest.mark.parametrize("profile", [{"crs": None}, {"transform": None}, {"crs": None, "transform": None}])
def test_off_the_map(tmp_path: Path, profile: dict[str, Any]) -> None:
    with Raster(write_raster(tmp_path / "a.tif", bands(noise(4, 4)), **profile)) as raster:
        assert raster.place is None


def test_which_files_are_rasters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_map = write_raster(tmp_path / "map.tif", bands(noise(8, 8)))
    big = write_raster(tmp_path / "big.tif", bands(noise(8, 8)), BIGTIFF="YES")
    plain = tmp_path / "plain.tif"
    turned = tmp_path / "turned.tiff"
    photo = tmp_path / "photo.jpg"
    Image.fromarray(noise(8, 8)).save(plain)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(8, 8)).save(turned, exif=exif)
    Image.fromarray(noise(8, 8)).save(photo)
    (tmp_path / "broken.tif").write_bytes(b"II*\0\xff\xff\xff\xff")
    assert is_raster(on_map)
    assert is_raster(str(big))
    for other in (plain, turned, photo, tmp_path / "broken.tif", tmp_path / "none.tif"):
        assert not is_raster(other)
    assert is_raster("mosaic.VRT")
    monkeypatch.setattr(rasters, "LAZY_PIXELS", 63)
    assert is_raster(plain)
    assert not is_raster(turned)  # GDAL would not turn it


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "a.tif", bands(noise(8, 8)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not is_raster(path)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(MissingExtraError, match=r"a\.tif: reading a raster needs .*crowdpoint\[geo\]"):
        Raster(path)


def test_broken_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match=r"none\.jp2: cannot be read as an image"):
        Raster(tmp_path / "none.jp2")
    whole = write_raster(tmp_path / "a.tif", bands(noise(64, 64)), compress="deflate")
    cut = tmp_path / "cut.tif"
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"cut\.tif"), Raster(cut) as raster:
        raster.read((0, 0, 64, 64))
    monkeypatch.setattr(gdal, "BLOCK_BYTES", 1000)
    with pytest.raises(ImageError, match=r"stored in blocks of 64x\d+ pixels.*gdal_translate -co TILED=YES"):
        Raster(whole)


def test_complex_samples(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 4, 4), np.complex64))
    with pytest.raises(ImageError, match="complex numbers"):
        Raster(path)


def test_header_first(tmp_path: Path) -> None:
    """A file that says it is huge opens at once; the photos' reader refuses it by its header."""
    path = tmp_path / "huge.tif"
    side = 40_000
    sparse = {"tiled": True, "blockxsize": 256, "blockysize": 256, "SPARSE_OK": "TRUE", "BIGTIFF": "YES"}
    with rasterio.open(path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", nodata=0,
                       **MAP, **sparse):  # fmt: skip
        pass
    with Raster(path) as raster:
        assert raster.size == (side, side)
        assert raster.read((side - 2048, 0, side, 2048)) is None
    with pytest.raises(ImageError, match="the limit is 1000000000 pixels"):
        images.read(path)


def test_bytes_are_photos() -> None:
    stream = io.BytesIO()
    Image.fromarray(noise(5, 4)).save(stream, "TIFF")
    np.testing.assert_array_equal(images.read(stream.getvalue()), noise(5, 4))


def _virtual(path: Path, source: str) -> Path:
    """A virtual raster of 20 x 20 pixels that shows one band of another file."""
    path.write_text(
        '<VRTDataset rasterXSize="20" rasterYSize="20"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


def test_virtual_rasters_show_other_files_only_where_they_are_allowed(tmp_path: Path) -> None:
    secret = write_raster(tmp_path / "secret.tif", bands(noise(20, 20)))
    path = _virtual(tmp_path / "a.vrt", str(secret))
    with pytest.raises(ImageError, match="--allow-vrt"):
        Raster(path)
    with Raster(path, allow_vrt=True) as raster:
        picture = raster.read((0, 0, 20, 20))
    assert picture is not None
    np.testing.assert_array_equal(picture[..., 0], noise(20, 20)[..., 0])


@pytest.mark.parametrize("name", ["photo.jp2", "photo.tif", "photo.jpg"])
@pytest.mark.parametrize("allow_vrt", [False, True])
def test_a_virtual_raster_by_another_name_is_none(tmp_path: Path, name: str, allow_vrt: bool) -> None:
    secret = write_raster(tmp_path / "secret.tif", bands(noise(20, 20)))
    path = _virtual(tmp_path / name, str(secret))
    assert not is_raster(path)
    with pytest.raises(ImageError, match="not a"):
        images.read(path)
    with pytest.raises(ImageError, match="not a"):
        Raster(path, allow_vrt=allow_vrt)


@pytest.mark.parametrize("ending", [".ovr", ".OVR", ".msk", ".MSK"])
def test_a_virtual_raster_beside_a_photo_is_not_its_overview_or_mask(tmp_path: Path, ending: str) -> None:
    secret = write_raster(tmp_path / "secret.tif", bands(noise(20, 20)))
    path = write_raster(tmp_path / "photo.tif", bands(noise(20, 20)))
    _virtual(tmp_path / f"photo.tif{ending}", str(secret))
    with pytest.raises(ImageError, match=rf"(?i)photo\.tif{ending}: expected overviews or a mask as a TIFF"):
        Raster(path)


def test_companions_with_names_in_another_case_are_not_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "photo.tif", bands(np.zeros((20, 20, 3), np.uint8)))
    secret = write_raster(tmp_path / "secret.tif", bands(np.full((10, 10, 3), 200, np.uint8)))
    _virtual(tmp_path / "photo.tif.oVr", str(secret))
    with Raster(path) as raster:
        assert not raster.thumbnail(10).any()


@pytest.mark.parametrize("where", ["photo.tif", "photo.tif.ovr", "photo.tif.aux.xml"])
def test_overviews_in_a_file_that_metadata_name_are_not_read(tmp_path: Path, where: str) -> None:
    secret = write_raster(tmp_path / "secret.tif", bands(np.full((10, 10, 3), 200, np.uint8)))
    for name in {"photo.tif", where} - {"photo.tif.aux.xml"}:
        write_raster(tmp_path / name, bands(np.zeros((20, 20, 3), np.uint8)))
    if where != "photo.tif.aux.xml":
        with rasterio.open(tmp_path / where, "r+") as file:
            file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    else:
        (tmp_path / where).write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW&#95;FILE">{secret}</MDI></Metadata>'
            "</PAMDataset>"
        )
    with pytest.raises(ImageError, match="its metadata name overviews in another file"):
        Raster(tmp_path / "photo.tif")
    with Raster(tmp_path / "photo.tif", allow_vrt=True) as raster:
        assert raster.thumbnail(10).mean() == 200


def test_a_virtual_raster_reaches_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        for source in (f"/vsicurl/http://127.0.0.1:{port}/a.tif", f"http://127.0.0.1:{port}/a.tif"):
            path = _virtual(tmp_path / "a.vrt", source)
            with pytest.raises(ImageError), Raster(path, allow_vrt=True) as raster:
                raster.read((0, 0, 20, 20))
            with pytest.raises(TimeoutError):
                server.accept()


def test_a_small_file_that_claims_a_huge_image(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tif"
    profile = {"tiled": True, "blockxsize": 4096, "blockysize": 4096, "SPARSE_OK": "TRUE", "BIGTIFF": "YES"}
    with rasterio.open(path, "w", driver="GTiff", width=500_000, height=500_000, count=1, dtype="uint8",
                       **MAP, **profile):  # fmt: skip
        pass
    with pytest.raises(ImageTooLargeError, match=r"claims 250000000000 pixels, the limit .* is 4000000000"):
        Raster(path)
    path = tmp_path / "huge.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="2000000000" rasterYSize="2000000000"><VRTRasterBand dataType="Byte" '
        'band="1"/></VRTDataset>'
    )
    with pytest.raises(ImageTooLargeError, match=r"the limit .* is 1000000000000"):
        Raster(path, allow_vrt=True)


def test_deep_colours_are_rasters_with_estimated_levels(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 4096, (3, 20, 30)).astype(np.uint16)
    plain: dict[str, Any] = {"crs": None, "transform": None, "interleave": "band", "compress": "lzw"}
    with pytest.warns(NotGeoreferencedWarning):
        path = write_raster(tmp_path / "a.tif", samples, **plain)
    assert is_raster(path)
    found = _first(path)
    assert np.abs(found - samples.transpose(1, 2, 0) * (255 / 4095)).max() <= 0.5


def test_white_is_zero(tmp_path: Path) -> None:
    samples = np.linspace(0, 65535, 400).reshape(1, 20, 20).astype(np.uint16)
    found = _first(write_raster(tmp_path / "a.tif", samples, photometric="MINISWHITE"))
    assert found[0, 0].tolist() == [255, 255, 255]
    assert found[-1, -1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("tag", [256, 257, 258, 274, 277])
@pytest.mark.parametrize("kind", [2, 7])
def test_damaged_tags_affect_no_other_file(tmp_path: Path, tag: int, kind: int) -> None:
    """A width that is a text, such as a flipped bit makes, is not a raster's, and no error of its own."""
    path = tmp_path / "a.tif"
    Image.fromarray(noise(8, 8)).save(path)
    content = bytearray(path.read_bytes())
    content[:] = content.replace(struct.pack("<HH", tag, 3), struct.pack("<HH", tag, kind))
    content[:] = content.replace(struct.pack("<HH", tag, 4), struct.pack("<HH", tag, kind))
    path.write_bytes(content)
    assert is_raster(path) in (True, False)
    with suppress(ImageError):
        images.read(path)


@pytest.mark.parametrize(("bits", "zero"), [(1, "BLACK"), (1, "WHITE"), (2, "BLACK"), (4, "BLACK")])
def test_few_bits_are_the_same_shades_as_in_photos(tmp_path: Path, bits: int, zero: str) -> None:
    samples = np.random.default_rng(bits).integers(0, 2**bits, (1, 20, 30), np.uint8)
    path = write_raster(tmp_path / "a.tif", samples, nbits=bits, photometric=f"MINIS{zero}")
    assert rasters.is_raster(path)
    np.testing.assert_array_equal(rasters.read(path), images.read(path))


def test_cielab_is_converted_whatever_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("LAB", (20, 30), (200, 150, 100)).save(tmp_path / "lab.tif")
    monkeypatch.setattr(rasters, "LAZY_PIXELS", 100)
    assert rasters.read(tmp_path / "lab.tif")[0, 0].tolist() == [216, 181, 247]

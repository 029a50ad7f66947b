"""Files opened by GDAL, which trusts them more than photos of strangers deserve: one driver, and no network.

Needs the extra `geo`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint import containers
from crowdpoint.errors import ImageError, ImageTooLargeError, requires

VRT_SUFFIXES = frozenset({".vrt"})
"""Endings, in lower case, of virtual rasters, which are read only where the caller allows it."""

BLOCK_BYTES = 1 << 29
"""The largest block of a file, in bytes of pixels, that is read; GDAL reads no less than a block."""

CACHE_BYTES = 1 << 28
"""What GDAL may keep of the blocks that it has read."""

PIXEL_LIMIT = 1_000_000_000_000
"""The most pixels of a raster, a million megapixels, which take a day and more."""

SPARSE_PIXELS = 4_000_000_000
"""The most pixels of a file of any length; larger ones have no more than photos for each byte."""

_NO_NETWORK = {"GDAL_HTTP_PROXY": "http://0.0.0.0:0", "GDAL_HTTPS_PROXY": "http://0.0.0.0:0"}
"""Settings by which GDAL reaches no address: a virtual raster may name files anywhere."""


@contextmanager
def opened(path: Path, *, allow_vrt: bool) -> Iterator[Any]:
    """Opens a TIFF or JPEG 2000 file, or a virtual raster, for as long as the context lasts.

    Args:
        path: the file.
        allow_vrt: as `rasters.Raster`.

    Yields:
        The dataset of rasterio.

    Raises:
        ImageError: as `rasters.Raster`.
        MissingExtraError: if the extra `geo` is not installed.
    """
    with requires(f"{path}: reading a raster", "geo"):
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning

    driver = _driver(path, allow_vrt)
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, **_NO_NETWORK):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)  # `Raster.place` is None then
                file = rasterio.open(path.absolute(), driver=driver)
        except Exception as error:  # damaged files, and names, raise what has no public base
            raise ImageError(f"{path}: cannot be read as an image: {error}") from error
        with file:
            _check(file, path)
            yield file


def head(path: Path) -> bytes:
    """How a file begins; nothing for one that cannot be read, of which its reader will say why."""
    try:
        with path.open("rb") as stream:
            return stream.read(64)
    except (OSError, ValueError):
        return b""


def _driver(path: Path, allow_vrt: bool) -> str:
    """The one driver of GDAL that may open a file, by its header.

    Raises:
        ImageError: if it is no TIFF or JPEG 2000 file, nor a virtual raster that is allowed; or if the file
            beside it that goes with it is a virtual raster that is not.
    """
    from rasterio.env import Env

    begin = head(path)
    if not begin:
        reason = "the file is empty" if path.is_file() else "No such file or directory"
        raise ImageError(f"{path}: cannot be read as an image: {reason}")
    if not allow_vrt:
        _check_companions(path)
    if begin.startswith(containers.TIFF):
        return "GTiff"
    if begin.startswith(containers.JPEG_2000):
        with Env() as env:
            return next((name for name in env.drivers() if name.startswith("JP2")), "JP2OpenJPEG")
    if path.suffix.lower() in VRT_SUFFIXES:
        if allow_vrt:
            return "VRT"
        raise ImageError(
            f"{path}: is a virtual raster, which shows what is in other files of this machine; if you trust "
            "it, give --allow-vrt (in Python, allow_vrt=True)"
        )
    raise ImageError(f"{path}: cannot be read as an image: not a TIFF, JPEG 2000 or VRT file")


def _check_companions(path: Path) -> None:
    """Refuses files whose overviews or mask, in a file beside them, could be those of any other file."""
    for ending in (".ovr", ".msk"):
        beside = path.with_name(path.name + ending)
        if beside.exists() and not head(beside).startswith(containers.TIFF):
            raise ImageError(
                f"{beside}: is no TIFF file, as overviews and masks are; delete it or write it again"
            )
    notes = path.with_name(f"{path.name}.aux.xml")
    if notes.exists() and b"OVERVIEW_FILE" in notes.read_bytes():
        raise ImageError(f"{notes}: takes overviews from another file; delete it, or build overviews again")


def _check(file: Any, path: Path) -> None:
    if not file.count:
        raise ImageError(f"{path}: holds no image but {len(file.subdatasets)} others; name one of those")
    if any(kind.startswith("complex") for kind in file.dtypes):
        raise ImageError(f"{path}: its samples are complex numbers; expected an image")
    _check_size(file, path)
    rows, columns = file.block_shapes[0]
    size = rows * columns * sum(np.dtype(kind).itemsize for kind in file.dtypes)
    if size > BLOCK_BYTES:
        raise ImageError(
            f"{path}: comes in blocks of {columns}x{rows} pixels, {size >> 20} MB each, and the limit is "
            f"{BLOCK_BYTES >> 20} MB; rewrite it in tiles: gdal_translate -co TILED=YES {path.name} tiled.tif"
        )


def _check_size(file: Any, path: Path) -> None:
    """Refuses a few bytes that claim more pixels than anybody has, and so would be read for ever."""
    pixels = file.width * file.height
    most = PIXEL_LIMIT
    if file.driver != "VRT":
        most = min(most, max(SPARSE_PIXELS, containers.FULL_PIXELS_PER_BYTE * path.stat().st_size))
    if pixels > most:
        raise ImageTooLargeError(
            f"{path}: its header says {file.width} x {file.height} pixels, and a raster of this file size "
            f"has {most} at most; cut out the part that you need: gdal_translate -srcwin"
        )

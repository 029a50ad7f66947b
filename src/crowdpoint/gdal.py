"""Open untrusted files with GDAL: a single driver chosen by the header, and no network access.

Needs the extra `geo`.
"""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from crowdpoint import containers, folders
from crowdpoint.errors import ImageError, ImageTooLargeError, requires

BLOCK_BYTES = 1 << 29
"""Limit on the decoded size of a block in bytes; GDAL always reads whole blocks."""

CACHE_BYTES = 1 << 28
"""Size of GDAL's block cache in bytes."""

PIXEL_LIMIT = 1_000_000_000_000
"""Limit on pixels per raster: a million megapixels, which take more than a day to process."""

SPARSE_PIXELS = 4_000_000_000
"""Pixels of TIFF files always accepted, because they need not store empty blocks; larger ones are limited in
pixels per byte."""

_SETTINGS = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    # A virtual raster may reference any URL.
    "GDAL_HTTP_PROXY": "http://0.0.0.0:0",
    "GDAL_HTTPS_PROXY": "http://0.0.0.0:0",
    # Otherwise, names of companion files match in any case.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # GDAL's threads lose the errors of damaged JPEG 2000 blocks, which are black then.
    "GDAL_NUM_THREADS": 1,
}
"""GDAL settings for untrusted files."""


@contextmanager
def open_dataset(path: Path, *, allow_vrt: bool) -> Iterator[Any]:
    """Open a TIFF file, a JPEG 2000 file or a virtual raster, and yield the rasterio dataset.

    Raises the errors of `rasters.Raster`.
    """
    with requires(f"{path}: reading a raster", "geo"):
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning

    driver = _choose_driver(path, allow_vrt)
    try:
        with environment(), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # `Raster.place` is None then
            file = rasterio.open(path.absolute(), driver=driver)
    except Exception as error:  # the errors of damaged files and wrong names have no public base
        raise ImageError(f"{path}: cannot be read as an image: {error}") from error
    with closing(file):  # its own `with` would bind it to this thread
        _check(file, path)
        if not allow_vrt and "OVERVIEW_FILE" in file.tags(ns="OVERVIEWS"):
            raise ImageError(
                f"{path}: its metadata name overviews in another file, which could be any; delete them or "
                f"{path.name}.aux.xml, or if you trust them, pass --allow-vrt (in Python, allow_vrt=True)"
            )
        yield file


def environment() -> AbstractContextManager[Any]:
    """Apply the settings for untrusted files to this thread, for as long as it opens or reads one."""
    from rasterio import Env

    settings: AbstractContextManager[Any] = Env(**_SETTINGS)
    return settings


def read_head(path: Path) -> bytes:
    """Read the first 64 bytes of a file; empty if it cannot be read, which opening it reports."""
    if folders.is_special(path):
        return b""
    try:
        with path.open("rb") as stream:
            return stream.read(64)
    except (OSError, ValueError):
        return b""


def _choose_driver(path: Path, allow_vrt: bool) -> str:
    from rasterio.env import Env

    head = read_head(path)
    if not head:
        reason = "the file is empty" if path.is_file() else "No such file or directory"
        raise ImageError(f"{path}: cannot be read as an image: {reason}")
    if not allow_vrt:
        _check_companions(path)
    if head.startswith(containers.TIFF):
        return "GTiff"
    if head.startswith(containers.JPEG_2000):
        if head.startswith(containers.JP2):
            _check_boxes(path)
        with path.open("rb") as stream:
            _check_pixels(path, *containers.max_jpeg_2000_pixels(stream))
        with Env() as env:
            return next((name for name in env.drivers() if name.startswith("JP2")), "JP2OpenJPEG")
    if path.suffix.lower() in folders.VRT_SUFFIXES:
        if allow_vrt:
            return "VRT"
        raise ImageError(
            f"{path}: is a virtual raster, which can show other files of this machine; if you trust it, "
            "pass --allow-vrt (in Python, allow_vrt=True)"
        )
    raise ImageError(f"{path}: cannot be read as an image: not a TIFF, JPEG 2000 or VRT file")


def _check_boxes(path: Path) -> None:
    """Refuse a JP2 file with boxes that are not properly nested: GDAL reads some of them forever."""
    with path.open("rb") as stream:
        for box in containers.walk_boxes(stream, path.stat().st_size):
            # What follows the beginning of the picture is often cut off.
            if not (box.fits or box.is_picture):
                raise ImageError(
                    f"{path}: cannot be read as an image: its box {box.kind!r} at byte {box.start} has a "
                    f"wrong length of {box.length}; it is truncated or damaged"
                )


def _check_companions(path: Path) -> None:
    """Refuse files whose external overviews or mask, or those of them, could show any other file."""
    for suffix in (".ovr", ".OVR", ".msk", ".MSK"):
        companion = path.with_name(path.name + suffix)
        if not companion.exists():
            continue
        if not read_head(companion).startswith(containers.TIFF):
            raise ImageError(
                f"{companion}: expected overviews or a mask as a TIFF file; delete or rebuild it"
            )
        with open_dataset(companion, allow_vrt=False):
            pass


def _check(file: Any, path: Path) -> None:
    if not file.count:
        raise ImageError(
            f"{path}: contains {len(file.subdatasets)} subdatasets and no image; open one of those"
        )
    if any(kind.startswith("complex") for kind in file.dtypes):
        raise ImageError(f"{path}: expected real samples, found complex numbers")
    most = PIXEL_LIMIT
    if file.driver == "GTiff":  # small files can claim a huge image, which would take forever to read
        most = min(most, max(SPARSE_PIXELS, containers.FULL_PIXELS_PER_BYTE * path.stat().st_size))
    _check_pixels(path, file.width * file.height, most)
    rows, columns = file.block_shapes[0]
    size = rows * columns * sum(np.dtype(kind).itemsize for kind in file.dtypes)
    if size > BLOCK_BYTES:
        raise ImageError(
            f"{path}: stored in blocks of {columns}x{rows} pixels ({size >> 20} MB), the limit is "
            f"{BLOCK_BYTES >> 20} MB; rewrite it in tiles: gdal_translate -co TILED=YES {path.name} tiled.tif"
        )


def _check_pixels(path: Path, claimed: int, most: int) -> None:
    if claimed > most:
        raise ImageTooLargeError(
            f"{path}: its header claims {claimed} pixels, the limit for this file is {most}; if it is whole, "
            "crop it: gdal_translate -srcwin"
        )

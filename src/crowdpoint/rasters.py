"""Read large and georeferenced images window by window through GDAL: GeoTIFF, JPEG 2000, VRT.

Memory use does not depend on the image size. Windows are RGB uint8 arrays, as from `images`. Needs the extra
`geo`.
"""

import importlib.util
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from crowdpoint import containers, folders, gdal, images
from crowdpoint.errors import ImageError, ImageTooLargeError
from crowdpoint.levels import SIDE, Levels
from crowdpoint.points import DoubleArray, FloatArray, Picture

Window = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels, half-open; may lie between pixels."""

LAZY_PIXELS = 1 << 22
"""TIFF files of more pixels than this (4 megapixels) are read through GDAL even without georeferencing."""

PHOTO_PIXELS = 1 << 27
"""Rasters without georeferencing of up to this many pixels, 134 megapixels, are photos."""

_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLES = 256, 257, 258, 274, 277
_ON_MAP = (33550, 33922, 34264, 34735)  # pixel scale, tie points, transformation, geo keys
_LAB = 8  # PhotometricInterpretation; GDAL would show L, a and b as red, green and blue
_WHITE = 255
_STRIP_PIXELS = 1 << 19


@dataclass(frozen=True, slots=True)
class Georeference:
    """Georeference of an image.

    Attributes:
        crs: coordinate reference system, such as `EPSG:32632`, or WKT if it has no EPSG code.
        transform: (a, b, c, d, e, f), which maps pixel coordinates (x, y), measured from the image's top-left
            corner, to (a x + b y + c, d x + e y + f).
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]

    def to_map(self, xy: FloatArray) -> DoubleArray:
        """Convert pixel coordinates (N, 2) to (east, north) in units of the coordinate system."""
        a, b, c, d, e, f = self.transform
        east_north: DoubleArray = xy.astype(np.float64) @ np.array([[a, d], [b, e]]) + (c, f)
        return east_north

    def to_longitude_latitude(self, xy: FloatArray) -> DoubleArray:
        """Convert pixel coordinates (N, 2) to (longitude, latitude) in degrees of WGS 84.

        Raises:
            ImageError: if the coordinate system, or a point in it, cannot be converted.
        """
        from rasterio.crs import CRS
        from rasterio.warp import transform

        system = CRS.from_user_input(self.crs)
        try:
            if not (system.is_projected or system.is_geographic):
                raise ValueError("neither projected nor geographic")
            degrees = transform(system, "OGC:CRS84", *self.to_map(xy).T)
        except Exception as error:  # the base of GDAL's errors is not public
            raise ImageError(
                f"{self.crs}: coordinates cannot be converted to longitude and latitude; "
                "write a GeoPackage, which keeps map coordinates"
            ) from error
        longitude, latitude = (np.asarray(values, np.float64) for values in degrees)
        beyond = np.abs(longitude) > 180
        return np.stack([np.where(beyond, (longitude + 180) % 360 - 180, longitude), latitude], axis=1)

    def to_metres(self, xy: FloatArray) -> DoubleArray:
        """Convert pixel coordinates (N, 2) to metres on the ground, (east, north) of the first.

        The ground is a plane (azimuthal equidistant projection), which suits images of some hundred
        kilometres. Errors as `to_longitude_latitude`.
        """
        from rasterio.warp import transform

        degrees = self.to_longitude_latitude(xy).T
        plane = "+proj=aeqd +lon_0={} +lat_0={} +datum=WGS84".format(*degrees[:, 0])
        return np.stack(transform("OGC:CRS84", plane, *degrees), axis=1)

    def to_pixels(self, positions: DoubleArray) -> DoubleArray:
        """Convert WGS 84 (longitude, latitude) in degrees (N, 2) to pixels (N, 2), infinite if impossible."""
        from rasterio.crs import CRS
        from rasterio.warp import transform

        a, b, c, d, e, f = self.transform
        system = CRS.from_user_input(self.crs)
        try:
            east, north = transform("OGC:CRS84", system, *positions.T)
        except Exception:  # the base of GDAL's errors is not public
            return np.full(positions.shape, np.inf)
        offset = np.stack([np.asarray(east, np.float64) - c, np.asarray(north, np.float64) - f], axis=1)
        if system.is_geographic:  # longitudes exceed 180 degrees across the date line
            offset[:, 0] -= 360 * np.round(offset[:, 0] / 360)
        try:
            xy: DoubleArray = np.linalg.solve(np.array([[a, b], [d, e]]), offset.T).T
        except np.linalg.LinAlgError:  # all pixels lie on a line
            return np.full(positions.shape, np.inf)
        return xy


def is_raster(path: str | Path) -> bool:
    """Check by the header whether to read a file through GDAL; virtual rasters by their extension.

    With the extra `geo`, these are JPEG 2000 files, and TIFF files that are georeferenced, have more than
    `LAZY_PIXELS` pixels, or have colours of more than 8 bits. Without it, `images.read` decodes them whole.
    """
    path = Path(path)
    if path.suffix.lower() in folders.VRT_SUFFIXES:
        return True
    if not importlib.util.find_spec("rasterio"):
        return False
    head = gdal.read_head(path)
    if not head.startswith(containers.TIFF):
        return head.startswith(containers.JPEG_2000)
    tags = _read_tiff_tags(path)
    if _find_largest(tags, _ORIENTATION, 1) != 1:
        return False
    large = _find_largest(tags, _WIDTH) * _find_largest(tags, _HEIGHT) > LAZY_PIXELS
    deep = _find_largest(tags, _BITS) > 8 and _find_largest(tags, _SAMPLES) > 1
    if _find_largest(tags, images.PHOTOMETRIC) == _LAB:
        return False
    return large or deep or any(tag in tags for tag in _ON_MAP)


def read(path: str | Path) -> Picture:
    """Decode a local image file whole, as `opening.open_image` shows it: (H, W, 3) uint8 RGB.

    Raises:
        ImageError: as `images.read` and `Raster`.
    """
    if not is_raster(path):
        return images.read(path)
    with Raster(path) as raster:
        return raster.decode()


def read_size(path: str | Path) -> tuple[int, int]:
    """Read the (width, height) in pixels of the array that `read` returns; errors as `read`."""
    if not is_raster(path):
        return images.read_size(path)
    with Raster(path) as raster:
        return raster.size


def _read_tiff_tags(path: Path) -> Mapping[int, Any]:
    """Read the first directory of a TIFF file; empty if the file is damaged."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            big = 43 in head[2:4]
            directory = ImageFileDirectory_v2(head + stream.read(8) if big else head)
            stream.seek(directory.next)
            directory.load(stream)
            return dict(directory)
    except Exception:  # damaged headers make Pillow raise anything; reading the file reports the damage
        return {}


def _find_largest(tags: Mapping[int, Any], tag: int, default: int = 0) -> int:
    """Return the largest integer of a tag, or the default if it has none, as in damaged files."""
    content = tags.get(tag, default)
    values = content if isinstance(content, tuple) else (content,)
    numbers = [value for value in values if isinstance(value, int)]
    return max(numbers, default=default)


class Raster(AbstractContextManager["Raster"]):
    """An open raster file. Close it, or use it in a `with` statement; not safe for concurrent reads.

    Uses the bands marked as red, green and blue; otherwise the first three bands, or with fewer than three
    the first as grey. No-data pixels (by value, mask or transparency) become white. `levels.Levels` maps
    samples of more than 8 bits to 8 bits. Never accesses the network.

    Args:
        path: the file.
        allow_vrt: accept virtual rasters, which can show other files of this machine.

    Raises:
        ImageError: if the file cannot be opened, has no bands, is too large, or has too large blocks.
        MissingExtraError: if the extra `geo` is not installed.
    """

    def __init__(self, path: str | Path, *, allow_vrt: bool = False) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        self._file = self._stack.enter_context(gdal.open_dataset(self.path, allow_vrt=allow_vrt))
        self.size: tuple[int, int] = (self._file.width, self._file.height)
        """(width, height) in pixels."""
        try:
            self._bands = _list_bands(self._file)
            # A palette has the colours themselves, whatever the shade of zero and the bits of an index.
            white = self._file.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
            bits = int(self._file.tags(self._bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8))
            self._inverted = white and not self._has_palette
            self._bits = 8 if self._has_palette else bits
        except Exception as error:  # the errors of damaged files have no public base
            self.close()
            raise ImageError(f"{path}: cannot be read as an image: it may be damaged ({error})") from error

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    @property
    def place(self) -> Georeference | None:
        """The georeference of the image; None if the file has none."""
        transform = self._file.transform
        if not self._file.crs or transform.is_identity:
            return None
        code = self._file.crs.to_epsg()
        return Georeference(f"EPSG:{code}" if code else self._file.crs.to_wkt(), tuple(transform)[:6])

    def read(self, window: Window, size: tuple[int, int] | None = None) -> Picture | None:
        """Read a window, from the file's overviews where possible.

        Args:
            window: the window, in pixels.
            size: (width, height) of the result; by default, that of the window, rounded.

        Returns:
            (height, width, 3) uint8 RGB, or None if the window has no data.

        Raises:
            ImageError: if this part of the file is damaged.
        """
        samples, valid = self._read_samples(window, size)
        if valid is not None and not valid.any():
            return None
        picture = samples if samples.dtype == np.uint8 else self._levels.to_uint8(samples)  # (bands, H, W)
        if self._bits < 8:
            picture = picture * np.uint8(255 // (2**self._bits - 1))
        if self._inverted:
            picture = ~picture
        if valid is not None:
            picture[:, ~valid] = _WHITE
        colors = picture if len(picture) == 3 else np.repeat(picture, 3, axis=0)
        return np.ascontiguousarray(colors.transpose(1, 2, 0))

    def decode(self) -> Picture:
        """Decode the image whole, if the memory for it is free: (H, W, 3) uint8 RGB."""
        images.check_memory(str(self.path), self.size)
        return self.thumbnail(max(self.size))

    def thumbnail(self, side: int) -> Picture:
        """Shrink the image to at most `side` pixels in width and height: (H, W, 3) uint8 RGB."""
        width, height = size = images.scaled_size(self.size, max_side=side)
        picture = np.full((height, width, 3), _WHITE, np.uint8)
        # Read strips, because GDAL allocates all pixels that it averages.
        step = max(1, _STRIP_PIXELS // width)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            rows = self.size[1] * top / height, self.size[1] * bottom / height
            strip = self.read((0, rows[0], self.size[0], rows[1]), (size[0], bottom - top))
            if strip is not None:
                picture[top:bottom] = strip
        return picture

    def _read_samples(
        self, window: Window, size: tuple[int, int] | None, *, nearest: bool = False
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
        """Read samples (bands, H, W) and the mask (H, W) of valid pixels; None if all are valid."""
        from rasterio.enums import MaskFlags, Resampling
        from rasterio.windows import Window as GdalWindow

        left, top, right, bottom = window
        width, height = size or (round(right - left), round(bottom - top))
        method = Resampling.average if width < right - left else Resampling.cubic
        how = {"window": GdalWindow(left, top, right - left, bottom - top)}
        try:
            with gdal.environment():
                palette = self._has_palette
                samples = self._file.read(
                    self._bands,
                    out_shape=(len(self._bands), height, width),
                    resampling=Resampling.nearest if palette or nearest else method,
                    **how,
                )
                valid = None
                if MaskFlags.all_valid not in self._file.mask_flag_enums[0]:
                    valid = self._file.dataset_mask(out_shape=(height, width), **how) > 0
                if palette:
                    samples = self._palette[samples[0]].transpose(2, 0, 1)
        except MemoryError as error:
            raise ImageTooLargeError(f"{self.path}: out of memory for window {window}") from error
        except Exception as error:  # the errors of damaged files have no public base
            raise ImageError(
                f"{self.path}: cannot read window {window}: the file may be damaged "
                f"({error.__cause__ or error})"
            ) from error
        if samples.dtype.kind == "f" and not (finite := np.isfinite(samples).all(axis=0)).all():
            valid = finite if valid is None else valid & finite
        return samples, valid

    @property
    def _has_palette(self) -> bool:
        from rasterio.enums import ColorInterp

        return bool(self._file.colorinterp[0] == ColorInterp.palette)

    @cached_property
    def _palette(self) -> Picture:
        table = np.zeros((np.iinfo(self._file.dtypes[0]).max + 1, 3), np.uint8)  # index -> RGB
        for index, color in self._file.colormap(1).items():
            table[index] = color[:3]
        return table

    @cached_property
    def _levels(self) -> Levels:
        size = images.scaled_size(self.size, max_side=SIDE)
        samples, valid = self._read_samples((0, 0, *self.size), size, nearest=True)
        levels = Levels.estimate(samples if valid is None else samples[:, valid])
        levels.report(str(self.path))
        return levels


def _list_bands(file: Any) -> list[int]:
    """Return the 1-based numbers of the red, green and blue bands, or of the grey one."""
    from rasterio.enums import ColorInterp

    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    colors = list(file.colorinterp)
    if all(color in colors for color in wanted):
        return [colors.index(color) + 1 for color in wanted]
    pictures = [band for band, color in enumerate(colors, start=1) if color != ColorInterp.alpha]
    return pictures[:3] if len(pictures) >= 3 else pictures[:1] or [1]

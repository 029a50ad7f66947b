"""Large images and images on the map, read window by window through GDAL: GeoTIFF, JPEG 2000, VRT.

Nothing here takes memory by the size of the image, so a raster has no limit of pixels. Like `images`, it
gives RGB arrays of uint8. Needs the extra `geo`.
"""

import importlib.util
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from crowdpoint import containers, gdal
from crowdpoint.errors import ImageError, ImageTooLargeError
from crowdpoint.images import reduced_size
from crowdpoint.levels import SIDE, Levels
from crowdpoint.points import FloatArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Picture = npt.NDArray[np.uint8]
DoubleArray = npt.NDArray[np.float64]
Window = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels, half-open; may lie between pixels."""

LAZY_PIXELS = 1 << 22
"""A TIFF file of more pixels than this, about 4 megapixels, is a raster even if it lies on no map."""

_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLES = 256, 257, 258, 274, 277
_ON_MAP = (33550, 33922, 34264, 34735)  # pixel scale, tie points, transformation, geo keys
_WHITE = 255
_STRIP_PIXELS = 1 << 19


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies on the map.

    Attributes:
        crs: the coordinate system, such as `EPSG:32632`, or as WKT where it has no such code.
        transform: (a, b, c, d, e, f), by which the pixel coordinates (x, y) from the image's top-left
            corner lie at (a x + b y + c, d x + e y + f) on the map.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]

    def on_map(self, xy: FloatArray) -> DoubleArray:
        """Pixel coordinates (N, 2) in the units of the coordinate system, (east, north)."""
        a, b, c, d, e, f = self.transform
        east_north: DoubleArray = xy.astype(np.float64) @ np.array([[a, d], [b, e]]) + (c, f)
        return east_north

    def longitude_latitude(self, xy: FloatArray) -> DoubleArray:
        """Pixel coordinates (N, 2) as (longitude, latitude) in degrees of WGS 84.

        Raises:
            ImageError: if the coordinate system, or a point in it, has no known place on the Earth.
        """
        from rasterio.crs import CRS
        from rasterio.warp import transform

        system = CRS.from_user_input(self.crs)
        try:
            if not (system.is_projected or system.is_geographic):
                raise ValueError("neither projected nor geographic")
            found = transform(system, "OGC:CRS84", *self.on_map(xy).T)
        except Exception as error:  # the base of GDAL's errors is not public
            raise ImageError(
                f"{self.crs}: its coordinates cannot be turned into longitude and latitude; "
                "write a GeoPackage, which keeps them as they are"
            ) from error
        longitude, latitude = (np.asarray(values, np.float64) for values in found)
        beyond = np.abs(longitude) > 180
        return np.stack([np.where(beyond, (longitude + 180) % 360 - 180, longitude), latitude], axis=1)

    def pixels(self, positions: DoubleArray) -> DoubleArray:
        """Longitude and latitude in degrees of WGS 84 (N, 2) as pixels (N, 2), infinite where unknown."""
        from rasterio.crs import CRS
        from rasterio.errors import RasterioError
        from rasterio.warp import transform

        a, b, c, d, e, f = self.transform
        system = CRS.from_user_input(self.crs)
        try:
            east, north = transform("OGC:CRS84", system, *positions.T)
        except (RasterioError, RuntimeError, ValueError):  # GDAL's errors have several bases
            return np.full(positions.shape, np.inf)
        offset = np.stack([np.asarray(east, np.float64) - c, np.asarray(north, np.float64) - f], axis=1)
        if system.is_geographic:  # a map across the date line goes on beyond 180 degrees
            offset[:, 0] -= 360 * np.round(offset[:, 0] / 360)
        found: DoubleArray = np.linalg.solve(np.array([[a, b], [d, e]]), offset.T).T
        return found


def is_raster(path: str | Path) -> bool:
    """Whether a file is to be read window by window, by its header; virtual rasters by their ending.

    If the extra `geo` is installed, JPEG 2000 files are, and TIFF files that lie on the map, have more than
    `LAZY_PIXELS`, or have colours of more than 8 bits. Without it, `images.read` decodes them whole.
    """
    path = Path(path)
    if path.suffix.lower() in gdal.VRT_SUFFIXES:
        return True
    head = gdal.head(path)
    if not importlib.util.find_spec("rasterio") or not head.startswith(containers.TIFF):
        return head.startswith(containers.JPEG_2000) and bool(importlib.util.find_spec("rasterio"))
    tags = _tiff_tags(path)
    if _largest(tags, _ORIENTATION, 1) != 1:
        return False
    large = _largest(tags, _WIDTH) * _largest(tags, _HEIGHT) > LAZY_PIXELS
    deep = _largest(tags, _BITS) > 8 and _largest(tags, _SAMPLES) > 1
    return large or deep or any(tag in tags for tag in _ON_MAP)


def _tiff_tags(path: Path) -> "Mapping[int, Any]":
    """The first directory of a TIFF file; empty for damaged ones."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            big = 43 in head[2:4]
            directory = ImageFileDirectory_v2(head + stream.read(8) if big else head)
            stream.seek(directory.next)
            directory.load(stream)
            return dict(directory)
    except Exception:  # damaged headers make Pillow raise anything; reading the file will say what is wrong
        return {}


def _largest(tags: "Mapping[int, Any]", tag: int, default: int = 0) -> int:
    """The largest number of a tag; the default where there is none, as in damaged files."""
    found = tags.get(tag, default)
    numbers = [value for value in (found if isinstance(found, tuple) else (found,)) if isinstance(value, int)]
    return max(numbers, default=default)


class Raster:
    """An open raster file. To be closed, or used in a `with` statement; one thread at a time may read.

    Three bands that the file calls red, green and blue are taken as such; without them the first three
    bands are, or of fewer bands the first as grey. What the file marks as no data, by a value, a mask or
    transparency, is white. Samples of 8 bits are kept; for others, `levels.Levels` says what is black and
    white. Nothing is fetched from a network.

    Args:
        path: the file.
        allow_vrt: whether it may be a virtual raster, which shows what is in other files of this machine.

    Raises:
        ImageError: if it cannot be opened, has no bands, is too large, or comes in blocks that are too large.
        MissingExtraError: if the extra `geo` is not installed.
    """

    def __init__(self, path: str | Path, *, allow_vrt: bool = False) -> None:
        self.path = Path(path)
        self._stack = ExitStack()
        self._file = self._stack.enter_context(gdal.opened(self.path, allow_vrt=allow_vrt))
        self.size: tuple[int, int] = (self._file.width, self._file.height)
        """(width, height) in pixels."""
        try:
            self._bands = _bands(self._file)
            self._inverted = self._file.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
        except Exception as error:  # damaged files raise what has no public base
            self.close()
            raise ImageError(f"{path}: cannot be read as an image: it may be damaged ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._stack.close()

    @property
    def place(self) -> Place | None:
        """Where the image lies on the map; None where the file does not say."""
        transform = self._file.transform
        if not self._file.crs or transform.is_identity:
            return None
        code = self._file.crs.to_epsg()
        return Place(f"EPSG:{code}" if code else self._file.crs.to_wkt(), tuple(transform)[:6])

    def read(self, window: Window, size: tuple[int, int] | None = None) -> Picture | None:
        """A part of the image, from the file's overviews where it has fitting ones.

        Args:
            window: the part.
            size: (width, height) to resize it to; for windows that lie on pixels, their own by default.

        Returns:
            (height, width, 3) uint8 RGB, or None where there is no data at all.

        Raises:
            ImageError: if this part of the file is damaged.
        """
        samples, valid = self._samples(window, size)
        if valid is not None and not valid.any():
            return None
        picture = samples if samples.dtype == np.uint8 else self._levels.eight_bits(samples)
        if self._inverted:
            picture = ~picture
        if valid is not None:
            picture[:, ~valid] = _WHITE
        colors = picture if len(picture) == 3 else np.repeat(picture, 3, axis=0)
        return np.ascontiguousarray(colors.transpose(1, 2, 0))

    def reduced(self, side: int) -> Picture:
        """The whole image, resized to at most `side` pixels in width and height: (H, W, 3) uint8 RGB."""
        width, height = size = reduced_size(self.size, side)
        picture = np.full((height, width, 3), _WHITE, np.uint8)
        step = max(1, _STRIP_PIXELS // width)  # by and by, because GDAL takes memory for what it averages
        for top in range(0, height, step):
            bottom = min(top + step, height)
            rows = self.size[1] * top / height, self.size[1] * bottom / height
            strip = self.read((0, rows[0], self.size[0], rows[1]), (size[0], bottom - top))
            if strip is not None:
                picture[top:bottom] = strip
        return picture

    def _samples(
        self, window: Window, size: tuple[int, int] | None, *, nearest: bool = False
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
        """The samples (bands, H, W), and which of the pixels (H, W) are data; None for all of them."""
        from rasterio.enums import ColorInterp, MaskFlags, Resampling
        from rasterio.windows import Window as GdalWindow

        left, top, right, bottom = window
        width, height = size or (round(right - left), round(bottom - top))
        palette = self._file.colorinterp[0] == ColorInterp.palette
        method = Resampling.average if width < right - left else Resampling.cubic
        how = {"window": GdalWindow(left, top, right - left, bottom - top)}
        try:
            samples = self._file.read(
                self._bands,
                out_shape=(len(self._bands), height, width),
                resampling=Resampling.nearest if palette or nearest else method,
                **how,
            )
            flags = self._file.mask_flag_enums[0]
            valid = None
            if MaskFlags.all_valid not in flags:
                valid = self._file.dataset_mask(out_shape=(height, width), **how) > 0
        except MemoryError as error:
            raise ImageTooLargeError(f"{self.path}: {window} takes more memory than there is") from error
        except Exception as error:  # damaged files raise what has no public base
            raise ImageError(
                f"{self.path}: cannot be read at {window}: it may be damaged ({error})"
            ) from error
        if palette:
            samples = self._palette[samples[0]].transpose(2, 0, 1)
        if samples.dtype.kind == "f" and not (finite := np.isfinite(samples).all(axis=0)).all():
            valid = finite if valid is None else valid & finite
        return samples, valid

    @cached_property
    def _palette(self) -> Picture:
        """(indices, 3) RGB of the indices of a palette."""
        table = np.zeros((np.iinfo(self._file.dtypes[0]).max + 1, 3), np.uint8)
        for index, color in self._file.colormap(1).items():
            table[index] = color[:3]
        return table

    @cached_property
    def _levels(self) -> Levels:
        """The samples that are black and white."""
        samples, valid = self._samples((0, 0, *self.size), reduced_size(self.size, SIDE), nearest=True)
        levels = Levels.of(samples if valid is None else samples[:, valid])
        levels.report(str(self.path))
        return levels


def _bands(file: Any) -> list[int]:
    """The numbers, from 1, of the bands that are red, green and blue, or of the one that is grey."""
    from rasterio.enums import ColorInterp

    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    colors = list(file.colorinterp)
    if all(color in colors for color in wanted):
        return [colors.index(color) + 1 for color in wanted]
    pictures = [band for band, color in enumerate(colors, start=1) if color != ColorInterp.alpha]
    return pictures[:3] if len(pictures) >= 3 else pictures[:1] or [1]

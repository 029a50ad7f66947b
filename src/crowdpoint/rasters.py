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

from crowdpoint.errors import ImageError, requires
from crowdpoint.images import IMAGE_SUFFIXES, reduced_size
from crowdpoint.points import FloatArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Picture = npt.NDArray[np.uint8]
DoubleArray = npt.NDArray[np.float64]
Window = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels, half-open; may lie between pixels."""

RASTER_SUFFIXES = frozenset({".jp2", ".vrt"})
"""Endings, in lower case, of files that are always rasters; a TIFF file is one by its header."""

FILE_SUFFIXES = IMAGE_SUFFIXES | RASTER_SUFFIXES
"""Endings, in lower case, of all files that can be predicted."""

LAZY_PIXELS = 1 << 22
"""A TIFF file of more pixels than this, about 4 megapixels, is a raster even if it lies on no map."""

BLOCK_BYTES = 1 << 29
"""The largest block of a file, in bytes of pixels, that is read; GDAL reads no less than a block."""

CACHE_BYTES = 1 << 28
"""What GDAL may keep of the blocks that it has read."""

PERCENTILES = (1, 99)
"""The samples that become black and white where they have no fixed white."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
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
        return np.stack([np.asarray(values, np.float64) for values in found], axis=1)


def is_raster(path: str | Path) -> bool:
    """Whether a file is to be read window by window, by its ending or its header.

    JPEG 2000 and VRT files are. So are TIFF files that lie on the map or have more than `LAZY_PIXELS`, if
    the extra `geo` is installed; without it, `images.read` decodes them whole.
    """
    path = Path(path)
    if path.suffix.lower() in RASTER_SUFFIXES:
        return True
    tags = _tiff_tags(path)
    if not tags or tags.get(_ORIENTATION, 1) != 1 or not importlib.util.find_spec("rasterio"):
        return False
    large = tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0) > LAZY_PIXELS
    return bool(large or any(tag in tags for tag in _ON_MAP))


def _tiff_tags(path: Path) -> "Mapping[int, Any]":
    """The first directory of a TIFF file; empty for other files and damaged ones."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            if not head.startswith(_TIFF):
                return {}
            big = 43 in head[2:4]
            directory = ImageFileDirectory_v2(head + stream.read(8) if big else head)
            stream.seek(directory.next)
            directory.load(stream)
            return dict(directory)
    except Exception:  # damaged headers make Pillow raise anything; reading the file will say what is wrong
        return {}


class Raster:
    """An open raster file. To be closed, or used in a `with` statement; one thread at a time may read.

    Three bands that the file calls red, green and blue are taken as such; without them the first three
    bands are, or of fewer bands the first as grey. What the file marks as no data, by a value, a mask or
    transparency, is white. Samples of 8 bits are kept. Others have no fixed white: they are stretched so
    that 1 % of the image's samples become black and 1 % white, alike for the three colours.

    Args:
        path: the file.

    Raises:
        ImageError: if it cannot be opened, has no bands, or comes in blocks that are too large.
        MissingExtraError: if the extra `geo` is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        with requires(f"{path}: reading a raster", "geo"):
            import rasterio
            from rasterio.errors import RasterioError

        self.path = Path(path)
        self._stack = ExitStack()
        self._stack.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES))
        try:
            self._file = self._stack.enter_context(_opened(self.path))
            _check(self._file, self.path)
        except RasterioError as error:
            self.close()
            raise ImageError(f"{path}: cannot be read as an image: {error}") from error
        except ImageError:
            self.close()
            raise
        self.size: tuple[int, int] = (self._file.width, self._file.height)
        """(width, height) in pixels."""
        self._bands = _bands(self._file)

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
        picture = self._eight_bits(samples)
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
        self, window: Window, size: tuple[int, int] | None
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | None]:
        """The samples (bands, H, W), and which of the pixels (H, W) are data; None for all of them."""
        from rasterio.enums import ColorInterp, MaskFlags, Resampling
        from rasterio.errors import RasterioError
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
                resampling=Resampling.nearest if palette else method,
                **how,
            )
            flags = self._file.mask_flag_enums[0]
            valid = None
            if MaskFlags.all_valid not in flags:
                valid = self._file.dataset_mask(out_shape=(height, width), **how) > 0
        except RasterioError as error:
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
    def _levels(self) -> tuple[float, float]:
        """The samples that are black and white."""
        samples, valid = self._samples((0, 0, *self.size), reduced_size(self.size, 1024))
        known = samples if valid is None else samples[:, valid]
        low, high = np.percentile(known, PERCENTILES) if known.size else (0.0, 1.0)
        return float(low), float(high)

    def _eight_bits(self, samples: npt.NDArray[Any]) -> Picture:
        if samples.dtype == np.uint8:
            return samples.astype(np.uint8, copy=False)
        low, high = self._levels
        stretched = (np.nan_to_num(samples.astype(np.float32)) - low) * (255 / max(high - low, 1e-12))
        picture: Picture = np.rint(stretched.clip(0, 255)).astype(np.uint8)
        return picture


def _opened(path: Path) -> Any:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # `Raster.place` is None then
        return rasterio.open(path)


def _check(file: Any, path: Path) -> None:
    if not file.count:
        raise ImageError(f"{path}: holds no image but {len(file.subdatasets)} others; name one of those")
    if any(kind.startswith("complex") for kind in file.dtypes):
        raise ImageError(f"{path}: its samples are complex numbers; expected an image")
    rows, columns = file.block_shapes[0]
    size = rows * columns * sum(np.dtype(kind).itemsize for kind in file.dtypes)
    if size > BLOCK_BYTES:
        raise ImageError(
            f"{path}: comes in blocks of {columns}x{rows} pixels, {size >> 20} MB each, and the limit is "
            f"{BLOCK_BYTES >> 20} MB; rewrite it in tiles: gdal_translate -co TILED=YES {path.name} tiled.tif"
        )


def _bands(file: Any) -> list[int]:
    """The numbers, from 1, of the bands that are red, green and blue, or of the one that is grey."""
    from rasterio.enums import ColorInterp

    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    colors = list(file.colorinterp)
    if all(color in colors for color in wanted):
        return [colors.index(color) + 1 for color in wanted]
    pictures = [band for band, color in enumerate(colors, start=1) if color != ColorInterp.alpha]
    return pictures[:3] if len(pictures) >= 3 else pictures[:1] or [1]

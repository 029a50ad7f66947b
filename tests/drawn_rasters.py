"""Small rasters, drawn and written with rasterio."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

MAP = {"crs": "EPSG:32632", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 5_300_000)}
"""Half a metre a pixel; the top-left corner lies at 9 degrees east."""


def write_raster(
    path: Path,
    samples: npt.NDArray[Any],
    *,
    colors: tuple[ColorInterp, ...] | None = None,
    palette: dict[int, tuple[int, int, int, int]] | None = None,
    **profile: Any,
) -> Path:
    """A GeoTIFF of (bands, H, W) samples, on the map unless `profile` says otherwise."""
    count, height, width = samples.shape
    profile = {"driver": "GTiff", "dtype": samples.dtype, **MAP, **profile}
    with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as file:
        if colors:
            file.colorinterp = colors
        if palette:
            file.write_colormap(1, palette)
        file.write(samples)
    return path


def noise(height: int, width: int) -> npt.NDArray[np.uint8]:
    """An RGB picture (H, W, 3) in which no two pixels are likely to be the same."""
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def bands(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(H, W, 3) as (3, H, W)."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1))

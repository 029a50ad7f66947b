"""Read annotations of TRANCOS as distributed: dots and region-of-interest masks."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint import images
from crowdpoint.errors import FormatError
from crowdpoint.formats import mat, p2pnet, pixels
from crowdpoint.formats.classes import Classes
from crowdpoint.points import Points


def read(path: Path, image_size: tuple[int, int]) -> Points:
    """Read `…dots.png`, black except for one pixel per vehicle, or `….txt`, lines `x y`.

    Both contain pixel indices: column c and row r are read as their pixel's centre, (c + 0.5, r + 0.5). The
    dot image must have the `image_size` (width, height).
    """
    if path.suffix.lower() == ".txt":
        (points,) = p2pnet.POINTS.read(path, Classes()).values()
        return Points(pixels.to_coordinates(points.xy), image_size=image_size)
    dots = images.read(path).any(axis=2)
    height, width = dots.shape
    if (width, height) != image_size:
        raise FormatError(
            f"{path}: has {width} x {height} pixels, but its image has {image_size[0]} x {image_size[1]}"
        )
    rows, columns = np.nonzero(dots)
    return Points(pixels.to_coordinates(np.stack((columns, rows), axis=1)), image_size=image_size)


def read_mask(path: Path, image_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Read the region of interest from `…mask.mat`: the nonzero pixels of `BW`.

    It must have the `image_size` (width, height).

    Returns:
        (H, W) True inside the region.
    """
    mask = np.asarray(mat.read_variable(path, "BW"))
    if mask.shape != image_size[::-1]:
        shape = " x ".join(map(str, mask.shape[::-1])) or "no"
        raise FormatError(
            f"{path}: its mask has {shape} pixels, but the image has {image_size[0]} x {image_size[1]}"
        )
    return np.asarray(mask, np.bool_)

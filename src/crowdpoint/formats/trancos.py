"""Annotations of one image of TRANCOS, as its authors distribute them: dots, and the region that counts."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from crowdpoint import images
from crowdpoint.errors import FormatError
from crowdpoint.formats import mat, p2pnet, pixels
from crowdpoint.points import Points


def read(path: Path, image_size: tuple[int, int]) -> Points:
    """Reads `…dots.png`, black but for a pixel on each vehicle, or `….txt`, lines `x y`.

    Both count pixels: column c and row r are read as the centre of their pixel, (c + 0.5, r + 0.5).

    Args:
        path: the file.
        image_size: (width, height) of the image, which the picture of dots must have.

    Raises:
        FormatError: if a line of text is no point, or the picture has another size.
        ImageError: if the picture cannot be read.
    """
    if path.suffix.lower() == ".txt":
        (points,) = p2pnet.POINTS.read(path).values()
        return Points(pixels.centres(points.xy), image_size=image_size)
    dots = images.read(path).any(axis=2)
    height, width = dots.shape
    if (width, height) != image_size:
        raise FormatError(f"{path}: has {width} x {height} pixels, but its image {_size(image_size)}")
    rows, columns = np.nonzero(dots)
    return Points(pixels.centres(np.stack((columns, rows), axis=1)), image_size=image_size)


def read_mask(path: Path, image_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Reads `…mask.mat`: `BW` is not 0 where vehicles count.

    Args:
        path: the file.
        image_size: (width, height) of the image, which the mask must have.

    Returns:
        (H, W) True where they count.

    Raises:
        FormatError: if the file is missing, is no MATLAB file or holds something else.
    """
    mask = mat.variable(path, "BW")
    if mask.shape != image_size[::-1]:
        shape = " x ".join(map(str, mask.shape[::-1]))
        raise FormatError(f"{path}: its mask has {shape} pixels, but the image {_size(image_size)}")
    return np.asarray(mask, np.bool_)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"

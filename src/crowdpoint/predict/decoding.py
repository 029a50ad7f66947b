"""What a network says of an image's tiles, turned into the scored points of the whole image.

A score is what the threshold is compared with. So the selection is one comparison, once per image, after
the tiles are merged, and the nAP metric can see every candidate.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from crowdpoint.errors import ConfigError, ModelError
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict.engine import ModelInfo
from crowdpoint.predict.tiles import Tile

if TYPE_CHECKING:
    from crowdpoint.decoder_config import GatherConfig, LMDSConfig
    from crowdpoint.sections import S

Piece = tuple[Tile, Mapping[str, FloatArray]]
"""A tile, and the network's outputs (1, ...) on its window."""

Decoder = Callable[[Iterable[Piece], tuple[int, int], float], Points]
"""From all tiles of an image and its (width, height) to every scored point on it, unfiltered, but for those
whose score is below the third argument: of them, a decoder leaves out at once what it can, so that the memory
for an image does not grow with its pixels."""


def decoder(info: ModelInfo, settings: Mapping[str, Any] | None = None) -> Decoder:
    """The decoder of a model's method.

    Args:
        info: the model.
        settings: other values than the model's own for fields of `LMDSConfig`, where the method is FIDTM, or
            of `GatherConfig`, where it is P2PNet.

    Raises:
        ModelError: if no decoder knows the method.
        ConfigError: for a setting that the method has not, or a value out of range.
    """
    from crowdpoint.decoder_config import GatherConfig, LMDSConfig

    changed = settings or {}
    if info.method == "fidtm":
        return partial(peaks_of, lmds=_overridden(info.lmds or LMDSConfig(), changed, info.name))
    if info.method == "p2pnet":
        return partial(proposals_of, gather=_overridden(info.gather or GatherConfig(), changed, info.name))
    if info.method != "density":
        raise ModelError(
            f"{info.name}: method {info.method!r} has no decoder; expected one of fidtm, p2pnet, density"
        )
    if changed:
        raise ConfigError(
            f"{info.name}: no such setting: {', '.join(changed)}; density has its threshold alone"
        )
    return mass_of


def proposals_of(
    pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0, *, gather: "GatherConfig"
) -> Points:
    """Decode all point proposals on the image (P2PNet, Sec. 3.1), and merge those that mean one head.

    Args:
        pieces: with `points` (1, M, 2), pixels of the window, and `scores` (1, M) in [0, 1]; maybe `sides`
            (1, M), sides of square boxes in pixels, which become the points' sizes.
        image_size: (width, height) in pixels.
        least: proposals with a score below it are left out, unless they give to another.
        gather: the settings of `gathering`.
    """
    found = []
    least = min(least, gather.floor) if gather.radius else least
    for tile, outputs in pieces:
        scores = np.clip(outputs["scores"][0], 0, 1)  # a softmax in half precision can round above 1
        left, top, right, bottom = tile.inner
        sizes = np.repeat(outputs["sides"][0, :, None], 2, axis=1) if "sides" in outputs else None
        own = Points(outputs["points"][0], scores, sizes).threshold(least).crop(left, top, right, bottom)
        found.append(own.shift(*tile.core[:2], image_size))
    every = Points.concat(found) if found else Points.empty(image_size)
    if not gather.radius:
        return every
    from crowdpoint.predict.gathering import gathered  # it imports scipy, which takes its time

    return gathered(every, gather)


def peaks_of(
    pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0, *, lmds: "LMDSConfig"
) -> Points:
    """All local maxima of the image's FIDT map (FIDTM, Algorithm 1), with their scores as in `peaks.scored`.

    Args:
        pieces: with `map` (1, 1, H, W), one cell a pixel of the window.
        image_size: (width, height) in pixels.
        least: maxima that are sure to score below it, whatever the pieces to come hold, are left out.
        lmds: the settings.
    """
    from crowdpoint import peaks

    corners, heights = [np.empty((0, 2), np.float32)], [np.empty(0, np.float32)]
    largest = 0.0
    for tile, outputs in pieces:
        fidt_map = outputs["map"][0, 0]
        found = peaks.maxima(fidt_map, lmds)  # on the window, so that the core's border has its neighbours
        left, top, right, bottom = tile.inner
        largest = max(largest, float(fidt_map[top:bottom, left:right].max()))
        x, y = found.xy.T
        own = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        own &= found.heights >= peaks.lowest(largest, least, lmds)
        corners.append(found.xy[own] + np.array(tile.window[:2], np.float32))
        heights.append(found.heights[own])
    merged = peaks.Maxima(np.concatenate(corners), np.concatenate(heights), largest)
    return peaks.scored(merged, image_size, lmds)


def mass_of(pieces: Iterable[Piece], image_size: tuple[int, int], least: float = 0.0) -> Points:
    """Points that stand for a density map: as many as its integral, where its mass is.

    They tell how many people there are, and roughly where, but none of them is a head. All have a score of 1.

    Args:
        pieces: with `map` (1, 1, H, W), heads per 100 pixels, one cell a pixel of the window.
        image_size: (width, height) in pixels.
        least: has no effect.
    """
    del least
    from crowdpoint.predict.dithering import CELL, dithered, masses

    width, height = image_size
    grid = np.zeros((-(-height // CELL), -(-width // CELL)))
    for tile, outputs in pieces:
        left, top, right, bottom = tile.inner
        own = masses(outputs["map"][0, 0, top:bottom, left:right])
        row, column = tile.core[1] // CELL, tile.core[0] // CELL
        grid[row : row + own.shape[0], column : column + own.shape[1]] = own
    return dithered(grid, image_size)


def _overridden(section: "S", values: Mapping[str, Any], model: str) -> "S":
    """`section` with other values for some of its fields."""
    from crowdpoint.sections import validated

    known = type(section).model_fields
    if unknown := ", ".join(key for key in values if key not in known):
        raise ConfigError(f"{model}: no such setting: {unknown}; there are {', '.join(known)}")
    return validated(type(section), section.model_dump() | dict(values), model)

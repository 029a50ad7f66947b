"""Split a large image into overlapping tiles whose cores partition it.

The network runs on a tile's window; only points in its core are kept, and the margin is context.
"""

from dataclasses import dataclass

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, half-open."""

ALIGNMENT = 32
"""Deepest stride of the networks in pixels; windows and cores are aligned to it, and so are the cells."""

MARGIN = 256
"""Pixels of context around a core. With 128, p2pnet-lite counts 1.4 % more people in tiles of 512 than on
whole images, over 20 test images of ShanghaiTech A."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of an image; both boxes are in pixels of the whole image."""

    window: Box
    """Input of the network."""
    core: Box
    """Part of the image whose points are kept."""

    @property
    def inner(self) -> Box:
        """The core in pixels of the window."""
        left, top, _, _ = self.window
        return self.core[0] - left, self.core[1] - top, self.core[2] - left, self.core[3] - top


def split(image_size: tuple[int, int], side: int, margin: int = MARGIN, box: Box | None = None) -> list[Tile]:
    """Cut an image, or a box of it, into tiles, row by row.

    Args:
        image_size: (width, height) in pixels.
        side: largest width and height of a window in pixels, a multiple of 32 above twice the margin. The
            whole image is one tile if it has at most `side` squared pixels.
        margin: context around a core in pixels, a multiple of 32, cut at the image's border.
        box: area of the cores, with left and top rounded down to multiples of 32; the whole image if None.

    Raises:
        ValueError: if `side` or `margin` is out of range.
    """
    if side % ALIGNMENT or margin % ALIGNMENT or not 0 <= 2 * margin < side:
        raise ValueError(f"tile: expected a multiple of {ALIGNMENT} above {2 * margin} pixels, found {side}")
    width, height = image_size
    if box is None and width * height <= side * side:
        return [Tile((0, 0, width, height), (0, 0, width, height))]
    left, top, right, bottom = box or (0, 0, width, height)
    return [
        Tile((x0, y0, x1, y1), (core_left, core_top, core_right, core_bottom))
        for (y0, y1), (core_top, core_bottom) in _split_side(top, bottom, height, side, margin)
        for (x0, x1), (core_left, core_right) in _split_side(left, right, width, side, margin)
    ]


def _split_side(
    start: int, end: int, length: int, side: int, margin: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Split an axis of `length` pixels into (window, core), as evenly as the alignment allows."""
    start -= start % ALIGNMENT
    if (start, end) == (0, length) and length <= side:
        return [((0, length), (0, length))]
    count = -(-(end - start) // (side - 2 * margin))
    step = -(-(end - start) // (count * ALIGNMENT)) * ALIGNMENT
    cores = [(at, min(at + step, end)) for at in range(start, end, step)]
    return [((max(at - margin, 0), min(to + margin, length)), (at, to)) for at, to in cores]

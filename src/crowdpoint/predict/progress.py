"""Count the tiles of all looks at an image, and report them."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called for each tile with the number of tiles that are done, and of all that are known.

At the scale `auto`, each look at the image adds its tiles to the second number when it begins. Neither number
falls, and they are equal only once: when the image is done.
"""


class TileCounter:
    """Reports the last tile of a look when the next look begins or the image is done."""

    def __init__(self, report: Progress | None) -> None:
        self._report = report
        self._done = self._total = 0

    def begin(self, tiles: int) -> None:
        """Begin a look with a number of tiles."""
        self._total += tiles
        if self._done:
            self.show()

    def advance(self) -> None:
        """Count a tile."""
        self._done += 1
        if self._done < self._total:
            self.show()

    def show(self) -> None:
        """Report the tiles so far; at the end, all of them."""
        if self._report:
            self._report(self._done, self._total)

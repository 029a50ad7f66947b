"""The one way from an image to points, used by the command line, the evaluator and every service."""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from crowdpoint import images, zoo
from crowdpoint.errors import ImageError, requires
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict.decoding import decoder
from crowdpoint.predict.engine import Engine, ModelInfo, OnnxEngine
from crowdpoint.predict.tiles import Tile, split

Image = str | Path | bytes | npt.NDArray[np.uint8]
"""A file, the bytes of one, or pixels (H, W, 3) RGB in [0, 255]."""

TILE = 2048
"""Images of up to this many pixels squared, about 4 megapixels, are predicted in one piece."""


class Predictor:
    """Finds the points on an image with a network that is ready to run.

    Args:
        engine: the network.
        threshold: least score of a selected point in [0, 1]; the model's own by default.
        tile: larger images than this squared are predicted in overlapping tiles of at most `tile` by
            `tile` pixels; a multiple of 32.

    Raises:
        ValueError: if `threshold` or `tile` is out of range.
    """

    def __init__(self, engine: Engine, *, threshold: float | None = None, tile: int = TILE) -> None:
        threshold = engine.info.threshold if threshold is None else threshold
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold: expected a score in [0, 1], found {threshold}")
        split((1, 1), tile)  # a bad tile should fail here and not at the first large image
        self._engine = engine
        self._decoder = decoder(engine.info)
        self._threshold = threshold
        self._tile = tile

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "p2pnet-lite",
        *,
        threshold: float | None = None,
        threads: int | None = None,
        tile: int = TILE,
    ) -> Self:
        """Loads a model by its name in the zoo, an ONNX file, or a checkpoint directory (needs torch).

        Args:
            name_or_path: such as `p2pnet-lite`, `model.onnx` or `runs/lite`.
            threshold: as in `Predictor`.
            threads: CPU threads for one image; every core by default.
            tile: as in `Predictor`.

        Raises:
            ModelError: if there is no such model, or the file is not a crowdpoint model.
            MissingExtraError: if the model is a checkpoint and torch is not installed.
        """
        path = zoo.resolve(name_or_path)
        engine = _torch_engine(path, threads) if path.is_dir() else OnnxEngine(path, threads)
        return cls(engine, threshold=threshold, tile=tile)

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        return self._engine.info

    def predict(self, image: Image) -> Points:
        """The points on an image, in its own pixels.

        Raises:
            ImageError: if the image cannot be read, or an array is not (H, W, 3) uint8.
        """
        return self.select(self.candidates(image))

    def candidates(self, image: Image) -> Points:
        """Every scored point that the method considers, before the selection.

        Raises:
            ImageError: as `predict`.
        """
        pixels = _pixels(image)
        height, width, _ = pixels.shape
        tiles = split((width, height), self._tile)
        return Points.concat(self._candidates(pixels, tile) for tile in tiles)

    def select(self, candidates: Points) -> Points:
        """The candidates of one whole image that are objects."""
        return candidates.select(self.confidence(candidates) >= self._threshold)

    def confidence(self, candidates: Points) -> FloatArray:
        """What the threshold is compared with, for the candidates of one whole image: (N,) in [0, 1]."""
        return self._decoder.confidence(candidates)

    def _candidates(self, pixels: npt.NDArray[np.uint8], tile: Tile) -> Points:
        left, top, right, bottom = tile.window
        core_left, core_top, core_right, core_bottom = tile.core
        outputs = self._engine.run(_batch(pixels[top:bottom, left:right]))
        found = self._decoder.candidates(outputs, (right - left, bottom - top))
        own = found.crop(core_left - left, core_top - top, core_right - left, core_bottom - top)
        height, width, _ = pixels.shape
        return own.shift(core_left, core_top, (width, height))


def _pixels(image: Image) -> npt.NDArray[np.uint8]:
    if not isinstance(image, np.ndarray):
        return images.read(image)
    if image.dtype != np.uint8:
        raise ImageError(f"image: expected uint8 values in [0, 255], found an array of {image.dtype}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"image: expected an RGB array of shape (H, W, 3), found {image.shape}")
    return image


def _batch(pixels: npt.NDArray[np.uint8]) -> FloatArray:
    """(H, W, 3) uint8 to (1, 3, H, W) float32."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def _torch_engine(path: Path, threads: int | None) -> Engine:
    with requires(f"{path}: running a checkpoint", "train"):
        from crowdpoint.nn.engine import TorchEngine
    return TorchEngine.load(path, threads)

"""Predict the points of images, for the command line, the evaluator and every service."""

import io
import logging
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, overload

import numpy as np

from crowdpoint.errors import ModelError
from crowdpoint.estimate import COUNTS_ONLY, F, Found, apply_threshold, require_points
from crowdpoint.methods import Piece
from crowdpoint.opening import ImageSource, OpenedImage, open_image
from crowdpoint.points import FloatArray, Points
from crowdpoint.predict.engine import Engine
from crowdpoint.predict.interval import count_interval
from crowdpoint.predict.loading import load_engine
from crowdpoint.predict.looks import Scales, search_scales, warn
from crowdpoint.predict.progress import Progress, TileCounter
from crowdpoint.predict.working import MapCollector, WorkingImage, resize_for_network
from crowdpoint.recipe import ModelConfig
from crowdpoint.tiles import Box, split
from crowdpoint.zoo import DEFAULT_MODEL, HUB, DeviceName, EngineName, PrecisionName

_log = logging.getLogger(__name__)

Item = TypeVar("Item", bound=ImageSource)

AUTO: Literal["auto"] = "auto"

Scale = float | Literal["auto"]
"""A factor by which images are resized, or `auto`."""

TILE = 2048
"""Images of up to this many pixels squared, about 4 megapixels, are predicted in one piece."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """Result of a model on an image, for pictures.

    Attributes:
        candidates: as `Predictor.candidates`; an estimate of a method that counts and does not locate.
        map: (H, W) float32, the predicted map, everywhere that of the finest look; None for a method without.
        scales: the working scales that were used.
    """

    candidates: Found
    map: FloatArray | None
    scales: Scales


class Predictor:
    """Predictor of the points on images.

    Args:
        engine: the network.
        threshold: minimum score of a selected point in [0, 1]; the model's own by default.
        tile: images of more than `tile` squared pixels are predicted in overlapping tiles of at most `tile`
            by `tile` pixels; a multiple of 32.
        scale: factor by which images are resized for the network, or `auto`: working scales that follow the
            sizes of the heads (see `crowdpoint.predict.looks`), for images that are decoded whole and
            models that can (`ModelInfo.adapts_scale`); otherwise 1. Points are always in pixels of the image.
        max_side: longest side in pixels for the network; longer images are shrunk to it, and `auto` is 1.
        config: settings of the decoder; by default, the model's own.

    Attributes:
        info: description of the model.
        device: device of the network.
        precision: number format of its convolutions.

    Raises:
        ValueError: if `threshold`, `tile`, `scale` or `max_side` is out of range.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        threshold: float | None = None,
        tile: int = TILE,
        scale: Scale = AUTO,
        max_side: int | None = None,
        config: ModelConfig | None = None,
    ) -> None:
        if max_side is not None and max_side < 1:
            raise ValueError(f"max_side: expected at least 1 pixel, found {max_side}")
        split((1, 1), tile)  # so that a bad tile fails here and not at the first large image
        self._engine = engine
        self.info, self.device, self.precision = engine.info, engine.device, engine.precision
        self._config = config or engine.info.config
        self._threshold = _check_threshold(self._config.threshold if threshold is None else threshold)
        self._tile = tile
        self._max_side = max_side
        self._set_scale(scale)

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = DEFAULT_MODEL,
        *,
        engine: EngineName | None = None,
        threshold: float | None = None,
        threads: int | None = None,
        tile: int = TILE,
        scale: Scale = AUTO,
        max_side: int | None = None,
        overrides: Iterable[str] = (),
        device: DeviceName | None = None,
        precision: PrecisionName | None = None,
    ) -> Self:
        """Load a model by its name in the zoo, or from its file or checkpoint folder.

        Args:
            name_or_path: such as `fidtm-lite`, `model.onnx`, `model.xml` or `runs/lite`.
            engine: `onnx`, `openvino` or `torch`; by default, the first of these that runs the model.
            threshold: as in `Predictor`.
            threads: CPU threads for one image; by default every core, or with torch as many as it is set to.
            tile: as in `Predictor`.
            scale: as in `Predictor`.
            max_side: as in `Predictor`.
            overrides: changes to the decoder, as `--set` takes them: fields of FIDTM's `LMDSConfig`, such as
                `kernel=5`, or of P2PNet's `GatherConfig`, such as `radius=0`.
            device: device of the network, `cpu` or `cuda`; only torch runs on `cuda`, and does by default if
                there is a GPU.
            precision: number format of the convolutions, `fp32`, `fp16` or `bf16`; only torch has the last
                two. By default `fp32`, but `fp16` for P2PNet on a GPU.

        Raises:
            ModelError: if there is no such model, or `engine` cannot run it on `device` in `precision`.
            ConfigError: if the decoder has no such setting, or a value is out of range.
            MissingExtraError: if the engine is not installed.
            ValueError: as `Predictor`, or if `threads`, `engine`, `device` or `precision` is invalid.
        """
        ready = load_engine(name_or_path, engine, threads, device, precision)
        config = ready.info.config.override(overrides, ready.info.name)
        return cls(ready, threshold=threshold, tile=tile, scale=scale, max_side=max_side, config=config)

    @classmethod
    def from_pretrained(cls, repository: str, **options: Any) -> Self:
        """Load a model from the Hugging Face Hub, or from a folder of this machine.

        Args:
            repository: `user/name` or `user/name@revision`, also after `hf://`; an existing folder takes
                precedence.
            options: keyword arguments of `load`, which this calls.
        """
        folder = Path(repository)
        return cls.load(folder if folder.is_dir() else f"{HUB}{repository.removeprefix(HUB)}", **options)

    def limit_side(self, max_side: int | None) -> Self:
        """Return the same model with a limit on the longer side of images, unless it has one."""
        if max_side is None or self._max_side is not None:
            return self
        other = copy(self)
        other._max_side = max_side
        return other

    def limit_as_in_training(self, dataset: str) -> Self:
        """Return the same model with the limit of its training on a dataset, unless it has one."""
        return self.limit_side(self.info.max_sides.get(dataset))

    def rescale(self, scale: Scale) -> Self:
        """Return the same model with another working scale; errors as `Predictor`."""
        other = copy(self)
        other._set_scale(scale)
        return other

    def require_locating(self) -> Self:
        """Return this model if its method locates; a ModelError for one that only counts, as `predict`."""
        if not self.info.method.locates:
            raise ModelError(f"{self.info.name}: {COUNTS_ONLY}")
        return self

    @property
    def threshold(self) -> float:
        """Minimum score of a selected point."""
        return self._threshold

    @property
    def _adapts_scale(self) -> bool:
        return self._scale == AUTO and self._max_side is None and self.info.adapts_scale

    @property
    def _factor(self) -> float:
        return 1.0 if isinstance(self._scale, str) else self._scale

    # A file is also an iterator of bytes; this overload, the first, applies to it.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, image: ImageSource, progress: Progress | None = None, *, threshold: float | None = None
    ) -> Points: ...

    @overload
    def predict(
        self,
        image: list[Item] | tuple[Item, ...],
        progress: Progress | None = None,
        *,
        threshold: float | None = None,
    ) -> list[Points]: ...

    @overload
    def predict(
        self, image: Iterator[Item], progress: Progress | None = None, *, threshold: float | None = None
    ) -> Iterator[Points]: ...

    def predict(
        self,
        image: ImageSource | list[Item] | tuple[Item, ...] | Iterator[Item],
        progress: Progress | None = None,
        *,
        threshold: float | None = None,
    ) -> Points | list[Points] | Iterator[Points]:
        """Find the points on an image, in its own pixels.

        Equals `candidates(image).threshold(threshold)`, but drops lower scores tile by tile, so that memory
        does not grow with the size of a raster (see `crowdpoint.rasters`).

        Args:
            image: a path, a URL, the bytes of a file, an open binary file, an array (H, W, 3) of uint8 RGB, a
                PIL image, a raster, or an image that `open_image` has opened. A list or tuple of these gives
                a list of `Points`, and a generator a generator, which predicts one image at a time.
            progress: called for every tile.
            threshold: minimum score of a point in [0, 1]; the predictor's own by default.

        Raises:
            ImageError: if the image cannot be read, or is none of these.
            MissingExtraError: if the image is a raster and the extra `geo` is not installed.
            ModelError: if the method counts and does not locate; `find` has its count.
            ValueError: if `threshold` is out of range.
        """

        def points(one: ImageSource) -> Points:
            return require_points(self.find(one, progress, threshold=threshold), self.info.name)

        if threshold is not None:
            _check_threshold(threshold)  # before a generator is asked for its first image
        if isinstance(image, Iterator) and not isinstance(image, io.IOBase):  # a file iterates over its lines
            return (points(one) for one in image)
        if isinstance(image, list | tuple):
            return [points(one) for one in image]
        return points(image)

    def find(
        self, image: ImageSource, progress: Progress | None = None, *, threshold: float | None = None
    ) -> Found:
        """Find the points on an image as `predict` does, or the estimate of a method that only counts.

        `len` of either is the count. Arguments and errors as `predict`.
        """
        return self.search(image, progress, threshold=threshold)[0]

    def search(
        self, image: ImageSource, progress: Progress | None = None, *, threshold: float | None = None
    ) -> tuple[Found, Scales]:
        """Return what `find` does, and the working scales at which the network saw the image."""
        least = self.threshold if threshold is None else _check_threshold(threshold)
        with open_image(image) as opened:
            found, scales = self._look(opened, least, progress)
            return apply_threshold(found, least), scales

    def candidates(self, image: ImageSource) -> Points:
        """Find all scored points on an image, without a threshold."""
        return require_points(self.find(image, threshold=0.0), self.info.name)

    def inspect(self, image: ImageSource) -> Inspection:
        """Find the candidates and the predicted map, which is held in memory; errors as `predict`."""
        maps = MapCollector()
        with open_image(image) as opened:
            candidates, scales = self._look(opened, 0.0, maps=maps)
            return Inspection(candidates, maps.assemble(opened.size), scales)

    def interval(
        self, found: Found, scales: Scales | None = None, *, threshold: float | None = None
    ) -> tuple[int, int] | None:
        """Bound the true count of an image by what `predict` or `find` found on it at `threshold`.

        Args:
            found: points of the image.
            scales: the working scales of `search`; without them, those of an image that is decoded whole.
            threshold: minimum score of the points; the predictor's own by default.

        Returns:
            The lowest and the highest count, which include the true count of nine in ten photos like those
            that the model was calibrated on. None if it is not calibrated, or for another threshold, scale,
            longest side or decoder.
        """
        used = self.threshold if threshold is None else threshold
        sides = (None, *self.info.max_sides.values())  # calibration has a dataset's own, if any
        usual = used == self._config.threshold and self._scale == AUTO and self._max_side in sides
        if scales and self._adapts_scale:
            usual = usual and scales.coarsest < scales.finest  # a raster has a single one, as large as it is
        if not isinstance(found, Points) or self._config.interval is None or not usual:
            return None
        return count_interval(found.scores, self._config.interval)

    def warning(self, found: Found, scales: Scales) -> str | None:
        """Warn of a count that may be far off because heads are larger or smaller than in training.

        Takes the results of `search`. Returns a sentence with a remedy; None for usual or unknown sizes.
        """
        return warn(found, *scales) if isinstance(found, Points) else None

    def select(self, candidates: F) -> F:
        """Select the candidates of a whole image by the threshold."""
        return apply_threshold(candidates, self.threshold)

    def _set_scale(self, scale: Scale) -> None:
        if scale != AUTO and (isinstance(scale, str) or not 0 < scale < float("inf")):
            raise ValueError(f"scale: expected {AUTO} or a factor above 0, found {scale}")
        self._scale: Scale = AUTO if scale == 1 and not self.info.adapts_scale else scale

    def _look(
        self,
        opened: OpenedImage,
        least: float,
        progress: Progress | None = None,
        maps: MapCollector | None = None,
    ) -> tuple[Found, Scales]:
        looks = dict[float, WorkingImage]()
        tiles = TileCounter(progress)

        def run(scale: float, least: float, box: Box | None = None) -> Found:
            if scale not in looks:
                seen = looks[scale] = resize_for_network(opened, scale, self._max_side)
                _log.debug("%s: %dx%d pixels, seen at %dx%d", opened.name, *seen.original, *seen.size)
            seen = looks[scale]
            pieces = self._run_tiles(seen, tiles, box and seen.working_box(box))
            if maps:
                pieces = maps.watch(seen.size, pieces)
            found = seen.undo(self.info.method.decode(self._config, pieces, seen.size, least))
            if isinstance(found, Points) and not len(found) and self.info.predicts_sizes:
                return replace(found, sizes=np.empty((0, 2), np.float32))
            return found

        if not (self._adapts_scale and opened.in_memory):
            found = run(self._factor, least)
            tiles.show()
            return found, Scales(looks[self._factor].scale, looks[self._factor].scale)
        config = self._config.scales

        def look(scale: float, box: Box | None) -> Points:
            return require_points(run(scale, min(least, config.sure), box), self.info.name)

        found = search_scales(opened.size, look, config)
        tiles.show()
        used = [seen.scale for seen in looks.values()]
        return found, Scales(min(used), max(used))

    def _run_tiles(self, seen: WorkingImage, counter: TileCounter, box: Box | None) -> Iterator[Piece]:
        """Run the network on each tile with data, of the whole image or of a box of it."""
        tiles = split(seen.size, self._tile, box=box)
        counter.begin(len(tiles))
        for tile in tiles:
            pixels = seen.window(tile.window)
            if pixels is not None:
                batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)  # (1, 3, H, W)
                outputs = self._engine.run(batch)
                for name, values in outputs.items():
                    if not np.isfinite(values).all():
                        raise ModelError(
                            f"{self.info.name}: its output {name} is NaN or infinite; its weights are "
                            "damaged, or its training diverged"
                        )
                yield tile, outputs
            counter.advance()


def _check_threshold(threshold: float) -> float:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: expected a score in [0, 1], found {threshold}")
    return threshold

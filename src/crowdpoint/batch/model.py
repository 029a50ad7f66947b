"""The model of a batch: what every process loads, and what tells it from another one."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from crowdpoint import zoo
from crowdpoint.overrides import settings
from crowdpoint.zoo import EngineName

if TYPE_CHECKING:
    from crowdpoint.predict import Predictor
    from crowdpoint.predict.predictor import Scale


@dataclass(frozen=True, slots=True)
class Model:
    """A model that has been loaded once, and can be loaded again in another process.

    Attributes:
        source: a name in the zoo, or the absolute path of a model's file or checkpoint.
        engine: what runs it; the model's own by default.
        name: what it calls itself.
        weights: SHA-256 of its files.
        threshold: least score of a point.
        scale: as `Predictor`.
        max_side: as `Predictor`.
        overrides: of how points are found, as `Predictor.load`.
        uses_gpus: whether it runs on a GPU where there is one.
    """

    source: str
    engine: EngineName | None
    name: str
    weights: str
    threshold: float
    scale: "Scale"
    max_side: int | None
    overrides: tuple[str, ...]
    uses_gpus: bool

    @classmethod
    def of(
        cls,
        name_or_path: str,
        engine: EngineName | None = None,
        threshold: float | None = None,
        scale: "Scale" = "auto",
        max_side: int | None = None,
        overrides: Iterable[str] = (),
    ) -> Self:
        """Loads a model to see that it can be, and lets it go.

        Args:
            name_or_path: as `Predictor.load`.
            engine: as `Predictor.load`.
            threshold: the model's own by default.
            scale: as `Predictor`.
            max_side: as `Predictor`.
            overrides: as `Predictor.load`.

        Raises:
            ModelError: as `Predictor.load`.
            ConfigError: as `Predictor.load`.
            MissingExtraError: as `Predictor.load`.
        """
        from crowdpoint.predict import Predictor

        overrides = tuple(overrides)
        info = Predictor.load(
            name_or_path, engine=engine, threshold=threshold, overrides=overrides, threads=1
        ).info
        path = zoo.resolve(name_or_path, engine)
        embedded = path.parent == zoo.WEIGHTS  # which other machines have elsewhere
        return cls(
            name_or_path if embedded else str(path.resolve()),
            engine,
            info.name,
            _digest(path),
            info.threshold if threshold is None else threshold,
            scale,
            max_side,
            overrides,
            uses_gpus=path.is_dir(),
        )

    def load(self, threads: int) -> "Predictor":
        """The model, ready to run."""
        from crowdpoint.predict import Predictor

        return Predictor.load(
            self.source,
            engine=self.engine,
            threshold=self.threshold,
            scale=self.scale,
            max_side=self.max_side,
            overrides=self.overrides,
            threads=threads,
        )

    def record(self) -> dict[str, Any]:
        """What all predictions of one output have in common."""
        return {
            "model": self.name,
            "weights": self.weights,
            "threshold": self.threshold,
            "scale": self.scale,
            "max_side": self.max_side,
            "settings": settings(self.overrides),
        }


def _digest(path: Path) -> str:
    """SHA-256 of a model's files."""
    found = hashlib.sha256()
    for file in zoo.files(path):
        found.update(file.read_bytes())
    return found.hexdigest()

"""Description of a batch's model, from which every process loads it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from crowdpoint import zoo
from crowdpoint.overrides import settings
from crowdpoint.predict import Predictor
from crowdpoint.predict.predictor import Scale
from crowdpoint.zoo import DeviceName, EngineName, PrecisionName


@dataclass(frozen=True, slots=True)
class PortableModel:
    """A validated model that can be loaded in other processes.

    Attributes:
        source: name in the zoo, or absolute path of a model file or checkpoint.
        engine: inference engine; by default, the model's own.
        name: name of the model.
        weights: SHA-256 of its files.
        threshold: minimum score of a point.
        scale: as in `Predictor`.
        max_side: as in `Predictor`.
        overrides: overrides of the method's config, as in `Predictor.load`.
        device: as in `Predictor.load`.
        precision: number format of the convolutions, the same in all processes.
        uses_gpus: whether it runs on a GPU if available.
    """

    source: str
    engine: EngineName | None
    name: str
    weights: str
    threshold: float
    scale: Scale
    max_side: int | None
    overrides: tuple[str, ...]
    device: DeviceName | None
    precision: PrecisionName
    uses_gpus: bool

    @classmethod
    def inspect(
        cls,
        name_or_path: str,
        engine: EngineName | None = None,
        threshold: float | None = None,
        scale: Scale = "auto",
        max_side: int | None = None,
        overrides: Iterable[str] = (),
        device: DeviceName | None = None,
        precision: PrecisionName | None = None,
    ) -> Self:
        """Load a model once to validate and describe it.

        Arguments and errors are those of `Predictor.load`. The default precision is that of this machine.
        """
        overrides = tuple(overrides)
        loaded = Predictor.load(
            name_or_path,
            engine=engine,
            threshold=threshold,
            overrides=overrides,
            threads=1,
            device=device,
            precision=precision,
        )
        info = loaded.info
        path = zoo.resolve(name_or_path, engine)
        used = engine or zoo.list_engines(path)[0]
        embedded = path.parent == zoo.WEIGHTS  # whose path differs between machines
        return cls(
            name_or_path if embedded else str(path.resolve()),
            engine,
            info.name,
            _hash_files(path),
            loaded.threshold,
            scale,
            max_side,
            overrides,
            device,
            loaded.precision,
            uses_gpus=used == "torch" and device != "cpu",
        )

    def load(self, threads: int) -> Predictor:
        """Load the model."""
        return Predictor.load(
            self.source,
            engine=self.engine,
            threshold=self.threshold,
            scale=self.scale,
            max_side=self.max_side,
            overrides=self.overrides,
            device=self.device,
            precision=self.precision,
            threads=threads,
        )

    def to_record(self) -> dict[str, Any]:
        """Return the settings that all predictions of an output share."""
        return {
            "model": self.name,
            "weights": self.weights,
            "threshold": self.threshold,
            "scale": self.scale,
            "max_side": self.max_side,
            "settings": settings(self.overrides),
            "precision": self.precision,
        }


def _hash_files(path: Path) -> str:
    """Compute the SHA-256 of a model's files."""
    digest = hashlib.sha256()
    for file in zoo.list_files(path):
        digest.update(file.read_bytes())
    return digest.hexdigest()

"""Description of a batch's model, from which every process loads it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from crowdpoint import zoo
from crowdpoint.overrides import settings
from crowdpoint.predict import Predictor
from crowdpoint.zoo import EngineName


@dataclass(frozen=True, slots=True)
class PortableModel:
    """A validated model that can be loaded in other processes.

    Attributes:
        source: name in the zoo, or absolute path of a model file or checkpoint.
        options: arguments of `Predictor.load`.
        name: name of the model.
        weights: SHA-256 of its files.
        threshold: minimum score of a point.
        precision: number format of the convolutions, the same in all processes.
        uses_gpus: whether it runs on a GPU if available.
    """

    source: str
    options: Mapping[str, Any]
    name: str
    weights: str
    threshold: float
    precision: str
    uses_gpus: bool

    @classmethod
    def inspect(cls, name_or_path: str, engine: EngineName | None = None, **options: Any) -> Self:
        """Load a model once to validate and describe it.

        Arguments and errors are those of `Predictor.load`; a method that only counts is a ModelError. The
        default precision is that of this machine.
        """
        options["engine"] = engine
        loaded = Predictor.load(name_or_path, threads=1, **options).require_locating()
        path = zoo.resolve(name_or_path, engine)
        used = engine or zoo.list_engines(path)[0]
        embedded = path.parent == zoo.WEIGHTS  # whose path differs between machines
        digest = hashlib.sha256()
        for file in zoo.list_files(path):
            digest.update(file.read_bytes())
        return cls(
            name_or_path if embedded else str(path.resolve()),
            options,
            loaded.info.name,
            digest.hexdigest(),
            loaded.threshold,
            loaded.precision,
            uses_gpus=used == "torch" and options.get("device") != "cpu",
        )

    def load(self, threads: int) -> Predictor:
        """Load the model."""
        chosen: dict[str, Any] = {"threshold": self.threshold, "precision": self.precision}
        return Predictor.load(self.source, threads=threads, **{**self.options, **chosen})

    def to_record(self) -> dict[str, Any]:
        """Return the settings that all predictions of an output share."""
        return {
            "model": self.name,
            "weights": self.weights,
            "threshold": self.threshold,
            "scale": self.options.get("scale", "auto"),
            "max_side": self.options.get("max_side"),
            "settings": settings(self.options.get("overrides", ())),
            "precision": self.precision,
        }

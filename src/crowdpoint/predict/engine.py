"""Interface of the engines `onnx`, `openvino` and `torch`, which run networks, and metadata of models."""

import json
import os
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import TypeAdapter

from crowdpoint.errors import ModelError
from crowdpoint.methods import METHODS, Method
from crowdpoint.points import FloatArray
from crowdpoint.recipe import ModelConfig
from crowdpoint.sections import validate
from crowdpoint.zoo import DeviceName, PrecisionName

_telemetry_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Description of a model, stored as metadata of its file; older files have no optional fields."""

    name: str
    """Preset, such as `p2pnet-lite`."""
    config: ModelConfig
    """The configuration of the network and its decoder, with the calibrated threshold and interval."""
    training_data: str
    """Datasets that the network was trained on, in words."""
    crowdpoint_version: str
    """The version that wrote the file."""
    protocol: str | None = None
    """Images on which the checkpoint was selected, `held-out` or `paper`."""
    parameters: int | None = None
    """Number of weights."""
    macs_per_pixel: float | None = None
    """Multiply-accumulate operations per input pixel."""
    max_sides: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Longest side in pixels to which training shrank the images of a dataset, by the dataset's label."""

    @property
    def method(self) -> Method[Any, Any]:
        """Method of the configuration."""
        return METHODS[self.config.method]

    @property
    def predicts_sizes(self) -> bool:
        """Whether the network predicts the sides of heads' boxes."""
        return "sides" in self.method.outputs(self.config)

    @property
    def adapts_scale(self) -> bool:
        """Whether the working scale can follow the heads: by their sizes, and by comparable scores."""
        return self.predicts_sizes and self.method.compares_parts(self.config)

    @property
    def threshold(self) -> float:
        """Minimum score of a point by default, calibrated on validation images."""
        return self.config.threshold

    @classmethod
    def parse(cls, metadata: Mapping[str, str], source: Path) -> Self:
        """Parse the metadata of a file, ignoring unknown keys.

        Raises:
            ModelError: if a key is missing, a number cannot be read, or the method is unknown.
            ConfigError: if the configuration is not valid.
        """
        texts = ("name", "training_data", "crowdpoint_version")
        if missing := [key for key in (*texts, "config") if key not in metadata]:
            raise ModelError(
                f"{source}: not a crowdpoint model: its metadata lack {', '.join(missing)}; "
                "expected a file written by `crowdpoint export`"
            )
        try:
            return cls(
                config=_parse_config(json.loads(metadata["config"]), source),
                parameters=int(metadata["parameters"]) if "parameters" in metadata else None,
                macs_per_pixel=float(metadata["macs_per_pixel"]) if "macs_per_pixel" in metadata else None,
                protocol=metadata.get("protocol"),
                max_sides=TypeAdapter(dict[str, int]).validate_json(metadata.get("max_sides", "{}")),
                **{key: metadata[key] for key in texts},
            )
        except (ValueError, RecursionError) as error:  # the latter for brackets nested too deeply
            raise ModelError(
                f"{source}: not a crowdpoint model: its metadata are damaged: {error}"
            ) from error

    def metadata(self) -> dict[str, str]:
        """Convert to the metadata of a file; inverse of `parse`."""
        values = {
            "name": self.name,
            "config": self.config.model_dump_json(),
            "training_data": self.training_data,
            "crowdpoint_version": self.crowdpoint_version,
            "protocol": self.protocol,
            "parameters": self.parameters,
            "macs_per_pixel": self.macs_per_pixel,
            "max_sides": json.dumps(self.max_sides) if self.max_sides else None,
        }
        return {key: str(value) for key, value in values.items() if value is not None}


class Engine(Protocol):
    """A network that is ready to run."""

    info: ModelInfo
    device: DeviceName
    precision: PrecisionName
    """Number format of the convolutions."""

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Compute the outputs by name for images (B, 3, H, W), float32 RGB in [0, 255]."""
        ...


def check_contract(
    path: Path, info: ModelInfo, inputs: list[tuple[str, str, int]], outputs: Collection[str]
) -> None:
    """Check that a file has the inputs and outputs of its method's networks, else raise a ModelError."""
    if inputs != [("images", "float32", 4)]:
        raise ModelError(f"{path}: expected one input, images (B, 3, H, W) float32, found {inputs}")
    missing = set(info.method.outputs(info.config)) - set(outputs)
    if missing:
        raise ModelError(f"{path}: expected outputs {sorted(missing)} too, found {list(outputs)}")


@contextmanager
def disable_telemetry() -> Iterator[None]:
    """Disable the telemetry of ONNX Runtime and OpenVINO, which are imported in this context.

    ONNX Runtime reads the variable once, when its library is loaded; child processes inherit it. OpenVINO
    reports each import through a package of its own, which this hides.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    hidden = "openvino_telemetry"
    with _telemetry_lock:  # threads may load models at once
        before = sys.modules.get(hidden)
        sys.modules[hidden] = None  # type: ignore[assignment]  # Python then cannot import it
        try:
            yield
        finally:
            del sys.modules[hidden]
            if before is not None:
                sys.modules[hidden] = before


def thread_count(threads: int | None) -> int:
    """Validate a number of threads; by default, one per core."""
    if threads is not None and threads < 1:
        raise ValueError(f"threads: expected at least 1, found {threads}")
    return threads or cores()


def cores() -> int:
    """Count the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parse_config(values: Any, source: Path) -> ModelConfig:
    name = values.get("method") if isinstance(values, dict) else None
    if not isinstance(name, str) or name not in METHODS:
        raise ModelError(f"{source}: method {name!r} is unknown; this version runs {', '.join(METHODS)}")
    kind: type[ModelConfig] = METHODS[name].config
    return validate(kind, values, f"{source}: config")

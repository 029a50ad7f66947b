"""Runs a network through ONNX Runtime and says what the model file holds.

An engine turns a batch of images into named arrays; `crowdpoint.nn.engine` has its torch twin.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from crowdpoint.errors import ModelError
from crowdpoint.points import FloatArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from crowdpoint.config import LMDSConfig

OUTPUTS = {"p2pnet": ("points", "scores"), "fidtm": ("map",), "density": ("map",)}
"""Method -> names of the outputs that its network must have, in their order."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model file says of itself; the metadata of a crowdpoint ONNX file."""

    method: str
    """`p2pnet`, `fidtm` or `density`."""
    name: str
    """Preset, such as `p2pnet-lite`."""
    stride: int
    """Input pixels per cell of the map that the method predicts on."""
    threshold: float
    """Default of the selection, calibrated on validation images."""
    training_data: str
    """Datasets that the weights have seen, in words."""
    crowdpoint_version: str
    """The version that wrote the file."""
    parameters: int | None = None
    """Weights of the network, where the exporter counted them."""
    macs_per_pixel: float | None = None
    """Multiply-accumulate operations per input pixel, where the exporter counted them."""
    points_per_cell: int | None = None
    """K of P2PNet, where the exporter noted it."""
    reference_points: str | None = None
    """Layout of P2PNet's reference points, `grid` or `center`, where the exporter noted it."""
    lmds: "LMDSConfig | None" = None
    """How FIDTM's local maxima are found; None where it is not noted: as Algorithm 1 has it."""

    @classmethod
    def parse(cls, metadata: Mapping[str, str], source: Path) -> Self:
        """Reads the strings of an ONNX file's metadata; unknown keys are left alone.

        Raises:
            ModelError: if a key is missing or is not a number where one is expected.
            ConfigError: if the settings of the local maxima are not valid.
        """
        missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in metadata]
        if missing:
            raise ModelError(
                f"{source}: not a crowdpoint model: its metadata lack {', '.join(missing)}; "
                "expected a file written by `crowdpoint export`"
            )
        known = {f.name: metadata[f.name] for f in fields(cls) if f.name in metadata}
        numbers: dict[str, Callable[[str], Any]] = {
            "stride": int,
            "threshold": float,
            "parameters": int,
            "macs_per_pixel": float,
            "points_per_cell": int,
            "lmds": lambda text: _lmds(text, source),
        }
        try:
            return cls(**{key: numbers.get(key, str)(value) for key, value in known.items()})
        except ValueError as error:
            raise ModelError(
                f"{source}: not a crowdpoint model: its metadata are damaged: {error}"
            ) from error

    def metadata(self) -> dict[str, str]:
        """The strings to store in an ONNX file; the inverse of `parse`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["lmds"] = self.lmds and self.lmds.model_dump_json()
        return {key: str(value) for key, value in values.items() if value is not None}


class Engine(Protocol):
    """A network that is ready to run."""

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        ...

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Named outputs for images (B, 3, H, W), float32 RGB in [0, 255]."""
        ...


class OnnxEngine:
    """A crowdpoint ONNX file in ONNX Runtime, on the CPU.

    Args:
        path: the `.onnx` file.
        threads: threads that share the work of one run; every core that this process may use by default.

    Raises:
        ModelError: if the file is missing, damaged or not a crowdpoint model.
        ValueError: if `threads` is below 1.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads: expected at least 1, found {threads}")
        path = Path(path)
        self._session = _session(path, threads or cores())
        self.info = ModelInfo.parse(self._session.get_modelmeta().custom_metadata_map, path)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._check(path)

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Named outputs for images (B, 3, H, W), float32 RGB in [0, 255]."""
        return dict(zip(self._outputs, self._session.run(None, {"images": images}), strict=True))

    def _check(self, path: Path) -> None:
        if self.info.method not in OUTPUTS:
            raise ModelError(
                f"{path}: method {self.info.method!r} is unknown; this version runs {', '.join(OUTPUTS)}"
            )
        inputs = [(i.name, i.type, len(i.shape)) for i in self._session.get_inputs()]
        if inputs != [("images", "tensor(float)", 4)]:
            raise ModelError(f"{path}: expected one input, images (B, 3, H, W) float32, found {inputs}")
        missing = set(OUTPUTS[self.info.method]) - set(self._outputs)
        if missing:
            raise ModelError(f"{path}: expected outputs {sorted(missing)} too, found {self._outputs}")


def _lmds(text: str, source: Path) -> "LMDSConfig":
    from crowdpoint.config import LMDSConfig, validated

    return validated(LMDSConfig, json.loads(text), f"{source}: lmds")


def _session(path: Path, threads: int) -> "InferenceSession":
    import onnxruntime

    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected an ONNX model")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # a third less memory at 4 megapixels, and no slower
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class but this
        raise ModelError(f"{path}: not an ONNX model that ONNX Runtime can load: {error}") from error


def cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

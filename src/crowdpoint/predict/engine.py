"""What every engine is: it turns a batch of images into named arrays, and says what its model file holds.

`onnx` and `openvino` beside this module have two of them, `crowdpoint.nn.engine` the third, and `loading`
chooses one.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from crowdpoint.errors import ModelError
from crowdpoint.points import FloatArray

if TYPE_CHECKING:
    from crowdpoint.decoder_config import GatherConfig, IntervalConfig, LMDSConfig
    from crowdpoint.sections import Section

OUTPUTS = {"p2pnet": ("points", "scores"), "fidtm": ("map",), "density": ("map",)}
"""Method -> names of the outputs that its network must have; P2PNet's may have `sides` (B, M), too."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model file says of itself; the metadata of a file that crowdpoint exported."""

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
    protocol: str | None = None
    """Which images chose the training step, `held-out` or `paper`, where the exporter noted it."""
    parameters: int | None = None
    """Weights of the network, where the exporter counted them."""
    macs_per_pixel: float | None = None
    """Multiply-accumulate operations per input pixel, where the exporter counted them."""
    points_per_cell: int | None = None
    """K of P2PNet, where the exporter noted it."""
    reference_points: str | None = None
    """Layout of P2PNet's reference points, `grid` or `center`, where the exporter noted it."""
    predicts_sizes: bool = False
    """Whether P2PNet's network returns the sides of the heads' boxes, too."""
    gather: "GatherConfig | None" = None
    """How P2PNet's proposals are made into one; None where it is not noted: not at all."""
    interval: "IntervalConfig | None" = None
    """Interval of the true count; None where it is not calibrated."""
    lmds: "LMDSConfig | None" = None
    """How FIDTM's local maxima are found; None where it is not noted: as Algorithm 1 has it."""

    @classmethod
    def parse(cls, metadata: Mapping[str, str], source: Path) -> Self:
        """Reads the strings of a file's metadata; unknown keys are left alone.

        Raises:
            ModelError: if a key is missing or is not a number where one is expected.
            ConfigError: if the settings of the method are not valid.
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
            "predicts_sizes": "True".__eq__,
            "gather": lambda text: _section("gather", text, source),
            "interval": lambda text: _section("interval", text, source),
            "lmds": lambda text: _section("lmds", text, source),
        }
        try:
            return cls(**{key: numbers.get(key, str)(value) for key, value in known.items()})
        except ValueError as error:
            raise ModelError(
                f"{source}: not a crowdpoint model: its metadata are damaged: {error}"
            ) from error

    def metadata(self) -> dict[str, str]:
        """The strings to store in a file; the inverse of `parse`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for settings in ("gather", "interval", "lmds"):
            values[settings] = values[settings] and values[settings].model_dump_json()
        return {key: str(value) for key, value in values.items() if value is not None}


def outputs_of(info: ModelInfo) -> tuple[str, ...]:
    """Names of the outputs of a model's network, in their order."""
    return (*OUTPUTS[info.method], "sides") if info.predicts_sizes else OUTPUTS[info.method]


class Engine(Protocol):
    """A network that is ready to run."""

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        ...

    def run(self, images: FloatArray) -> dict[str, FloatArray]:
        """Named outputs for images (B, 3, H, W), float32 RGB in [0, 255]."""
        ...


def check_contract(
    path: Path, info: ModelInfo, inputs: list[tuple[str, str, int]], outputs: Collection[str]
) -> None:
    """Makes sure that a file can be run as a network of its method.

    Args:
        path: the file.
        info: what it says of itself.
        inputs: name, element type as numpy has it, and number of dimensions of each input.
        outputs: their names.

    Raises:
        ModelError: if the method is unknown, or an input or output is not as it should be.
    """
    if info.method not in OUTPUTS:
        raise ModelError(f"{path}: method {info.method!r} is unknown; this version runs {', '.join(OUTPUTS)}")
    if inputs != [("images", "float32", 4)]:
        raise ModelError(f"{path}: expected one input, images (B, 3, H, W) float32, found {inputs}")
    missing = set(outputs_of(info)) - set(outputs)
    if missing:
        raise ModelError(f"{path}: expected outputs {sorted(missing)} too, found {list(outputs)}")


def thread_count(threads: int | None) -> int:
    """The threads that share the work of one run: as many as asked for, or a thread for every core.

    Raises:
        ValueError: if `threads` is below 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads: expected at least 1, found {threads}")
    return threads or cores()


def cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _section(name: str, text: str, source: Path) -> "Section":
    from crowdpoint.decoder_config import GatherConfig, IntervalConfig, LMDSConfig
    from crowdpoint.sections import validated

    kinds: dict[str, type[Section]] = {
        "gather": GatherConfig,
        "interval": IntervalConfig,
        "lmds": LMDSConfig,
    }
    return validated(kinds[name], json.loads(text), f"{source}: {name}")

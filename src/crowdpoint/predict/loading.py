"""Choose and load the engine of a model; its packages are imported only when it is used."""

import logging
from pathlib import Path
from typing import get_args

from crowdpoint import zoo
from crowdpoint.errors import ModelError, requires
from crowdpoint.predict.engine import Engine
from crowdpoint.predict.onnx import OnnxEngine
from crowdpoint.zoo import DeviceName, PrecisionName

_log = logging.getLogger(__name__)


def load_engine(
    name_or_path: str | Path,
    engine: zoo.EngineName | None = None,
    threads: int | None = None,
    device: DeviceName | None = None,
    precision: PrecisionName | None = None,
) -> Engine:
    """Load a model's network; arguments and errors as `Predictor.load`."""
    for name, found, expected in (
        ("device", device, get_args(DeviceName)),
        ("precision", precision, get_args(PrecisionName)),
    ):
        if found is not None and found not in expected:
            raise ValueError(f"{name}: expected one of {', '.join(expected)}, found {found!r}")
    path = zoo.resolve(name_or_path, engine)
    chosen = engine or zoo.list_engines(path)[0]
    _log.debug("%s: run by %s", path, chosen)
    if chosen == "torch":
        with requires(f"{path}: running a checkpoint", "train"):
            from crowdpoint.predict.torch import TorchEngine
        return TorchEngine.load(path, threads, device, precision)
    if device == "cuda" or precision not in (None, "fp32"):
        found = "cuda" if device == "cuda" else precision
        raise ModelError(
            f"{path}: {chosen} runs it on the CPU in fp32, found {found}; the engine torch, which runs "
            "checkpoint folders and embedded models, has other devices and precisions"
        )
    if chosen == "openvino":
        with requires(f"{path}: running it by OpenVINO", "openvino"):
            from crowdpoint.predict.openvino import OpenVinoEngine
        return OpenVinoEngine(path, threads)
    return OnnxEngine(path, threads)

"""The one place where the engine for a model is chosen.

The packages that run a network are imported here and no sooner, so that nobody needs all of them.
"""

import logging
from pathlib import Path

from crowdpoint import zoo
from crowdpoint.errors import requires
from crowdpoint.predict.engine import Engine
from crowdpoint.predict.onnx import OnnxEngine

_log = logging.getLogger(__name__)


def load_engine(
    name_or_path: str | Path, engine: zoo.EngineName | None = None, threads: int | None = None
) -> Engine:
    """A model's network, ready to run; arguments and errors as `Predictor.load`."""
    path = zoo.resolve(name_or_path, engine)
    chosen = engine or zoo.engines(path)[0]
    _log.debug("%s: run by %s", path, chosen)
    if chosen == "torch":
        with requires(f"{path}: running a checkpoint", "train"):
            from crowdpoint.predict.torch import TorchEngine
        return TorchEngine.load(path, threads)
    if chosen == "openvino":
        with requires(f"{path}: running it by OpenVINO", "openvino"):
            from crowdpoint.predict.openvino import OpenVinoEngine
        return OpenVinoEngine(path, threads)

    return OnnxEngine(path, threads)

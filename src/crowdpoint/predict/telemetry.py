"""Disable the telemetry of engines' packages, which are imported inside `disable_telemetry`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def disable_telemetry() -> Iterator[None]:
    """Disable the telemetry of ONNX Runtime and OpenVINO during their import.

    ONNX Runtime reads the variable once, when its library is loaded; processes that this one starts inherit
    it. OpenVINO reports each import through a package of its own, and does without one that it cannot import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    hidden = "openvino_telemetry"
    before = sys.modules.get(hidden)
    sys.modules[hidden] = None  # type: ignore[assignment]  # Python takes it for a package that is not there
    try:
        yield
    finally:
        del sys.modules[hidden]
        if before is not None:
            sys.modules[hidden] = before

"""Fixtures that every test can use: the research data, when they are there."""

import math
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tiny_models import write_tiny

# A busy machine is slow, not wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell starts background jobs with Ctrl-C ignored; tests press it, and so do the processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_lines_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that compare all of stderr would fail on a busy machine."""
    monkeypatch.setattr("crowdpoint.console.LINE_SECONDS", math.inf)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The ONNX file of a model that finds bright dots."""
    return write_tiny(tmp_path / "tiny.onnx")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of research datasets, beside the checkout or named by CROWDPOINT_DATA."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CROWDPOINT_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no research data at {folder}: export CROWDPOINT_DATA=FOLDER")
    return folder

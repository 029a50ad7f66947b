import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tiny_models import write_tiny

import crowdpoint
from crowdpoint.evaluation import evaluate
from crowdpoint.points import Points
from crowdpoint.predict import Predictor


def test_public_names() -> None:
    assert crowdpoint.__all__ == ["CrowdpointError", "Points", "Predictor", "__version__", "evaluate", "load"]
    assert dir(crowdpoint) == crowdpoint.__all__, (
        "names that are imported at first use are shown, and no others"
    )
    assert crowdpoint.evaluate is evaluate
    assert crowdpoint.Points is Points
    assert crowdpoint.Predictor is Predictor
    assert crowdpoint.load == Predictor.load
    with pytest.raises(AttributeError, match="has no attribute 'predictor_'"):
        getattr(crowdpoint, "predictor_")  # noqa: B009


def _imported(code: str, *names: str) -> str:
    """Which of `names` a fresh process has imported after `code`."""
    code = f"{code}\nimport sys; print(sorted(sys.modules.keys() & set({names!r})))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_is_light() -> None:
    heavy = ("torch", "onnxruntime", "numpy", "scipy", "cv2", "PIL", "rich", "pydantic")
    assert _imported("import crowdpoint", *heavy) == "[]"


def test_predicting_imports_no_torch(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.onnx")
    code = (
        "import crowdpoint, numpy as np\n"
        f"points = crowdpoint.load({str(path)!r}).predict(np.full((16, 16, 3), 255, np.uint8))\n"
        "assert len(points) == 4, points\n"
    )
    assert _imported(code, "onnxruntime", "torch", "onnx", "scipy", "cv2") == "['onnxruntime']"


def test_the_command_imports_no_torch(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.onnx")
    Image.new("RGB", (16, 16), "white").save(tmp_path / "photo.bmp")
    arguments = ["predict", str(tmp_path / "photo.bmp"), "--model", str(path), "--json"]
    code = (
        "import sys; from crowdpoint.cli import main\n"
        f"sys.argv = ['crowdpoint', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as error: assert not error.code"
    )
    assert _imported(code, "torch", "onnx", "scipy", "cv2").splitlines()[-1] == "[]"

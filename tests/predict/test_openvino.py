"""OpenVINO computes what ONNX Runtime does, from ONNX files and from its own."""

import dataclasses
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from draw_crowd import draw
from onnx import TensorProto
from tiny_models import INFO, write_tiny

from crowdpoint.errors import ModelError
from crowdpoint.methods.p2pnet.config import GatherConfig, P2PNetConfig
from crowdpoint.predict import Predictor
from crowdpoint.predict.loading import load_engine
from crowdpoint.predict.onnx import OnnxEngine

pytest.importorskip("openvino", reason="openvino is not installed: pip install -e '.[openvino]'")

from crowdpoint.predict.openvino import OpenVinoEngine, convert


def converted(path: Path) -> Path:
    """An ONNX file as OpenVINO's own."""
    convert(path.read_bytes(), path.with_suffix(".xml"))
    return path.with_suffix(".xml")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is full")
def test_a_full_disk_is_reported(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "own.bin").symlink_to("/dev/full")
    with pytest.raises(OSError, match="OpenVINO cannot write it, as on a full disk"):
        convert(tiny.read_bytes(), tmp_path / "own.xml")


@pytest.mark.parametrize("own", [False, True])
def test_runs_images_of_any_size(tiny: Path, own: bool) -> None:
    engine = OpenVinoEngine(converted(tiny) if own else tiny, threads=1)
    twin = OnnxEngine(tiny, threads=1)
    assert engine.info == twin.info == INFO
    for batch, height, width in ((1, 8, 8), (2, 9, 15), (1, 17, 40), (1, 9, 15)):
        images = np.random.default_rng(width).uniform(0, 255, (batch, 3, height, width)).astype(np.float32)
        found, wanted = engine.run(images), twin.run(images)
        assert found.keys() == wanted.keys()
        for name, values in wanted.items():
            assert found[name].dtype == np.float32
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)


def test_a_copy_in_another_process_predicts_the_same(tiny: Path) -> None:
    image = np.random.default_rng(1).uniform(0, 255, (1, 3, 40, 64)).astype(np.float32)
    engine = OpenVinoEngine(tiny, threads=1)
    copied = pickle.loads(pickle.dumps(engine))
    assert copied.info == engine.info
    for name, values in engine.run(image).items():
        np.testing.assert_array_equal(copied.run(image)[name], values)


@pytest.mark.parametrize("name", ["p2pnet-lite", "fidtm-lite"])
def test_embedded_models_agree_between_engines(name: str) -> None:
    engine = load_engine(name, "openvino", threads=1)
    twin = load_engine(name, "onnx", threads=1)
    assert isinstance(engine, OpenVinoEngine)
    for height, width in ((1, 1), (67, 131)):
        images = np.random.default_rng(1).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
        found = engine.run(images)
        for output, wanted in twin.run(images).items():
            scale = max(1.0, float(np.abs(wanted).max()))
            np.testing.assert_allclose(found[output], wanted, rtol=0, atol=1e-4 * scale)
    picture, _ = draw(320, 213, 60, 0)
    seen, known = (Predictor(each).predict(picture) for each in (engine, twin))
    assert len(known) > 10
    np.testing.assert_allclose(seen.xy, known.xy, rtol=0, atol=1e-2)
    np.testing.assert_allclose(seen.scores, known.scores, rtol=0, atol=1e-4)


def test_outputs_are_not_overwritten_by_the_next_run(tiny: Path) -> None:
    engine = OpenVinoEngine(tiny, threads=1)
    bright = engine.run(np.full((1, 3, 16, 16), 255, np.float32))
    engine.run(np.zeros((1, 3, 16, 16), np.float32))
    np.testing.assert_allclose(bright["scores"], 1, rtol=1e-3)


def test_metadata_survive_any_characters(tmp_path: Path) -> None:
    info = dataclasses.replace(
        INFO, config=P2PNetConfig(gather=GatherConfig(radius=5)), name='a "b" <c> & ü', training_data=""
    )
    path = write_tiny(tmp_path / "tiny.onnx", info.metadata())
    assert OpenVinoEngine(path, threads=1).info == OpenVinoEngine(converted(path), threads=1).info == info


def test_threads_run_it_concurrently(tiny: Path) -> None:
    engine = OpenVinoEngine(tiny, threads=1)
    images = [np.full((1, 3, 8 * n, 8), 8 * n, np.float32) for n in range(1, 17)]
    with ThreadPoolExecutor(4) as pool:
        for image, outputs in zip(images, pool.map(engine.run, images), strict=True):
            np.testing.assert_allclose(outputs["scores"], image[:, 0, ::8, 0] / 255, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.onnx", b"", "not a model that OpenVINO can load"),
        ("broken.xml", b"\x00garbage", "not an OpenVINO model; expected XML with an element <net>"),
        ("broken.xml", b"<net><layers>", "not a model that OpenVINO can load"),
    ],
)
def test_damaged_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    path.with_suffix(".bin").touch()
    with pytest.raises(ModelError, match=rf"broken\.\w+: {message}"):
        OpenVinoEngine(path)


def test_missing_or_truncated_weights(tiny: Path) -> None:
    path = converted(tiny)
    weights = path.with_suffix(".bin")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-8])
    with pytest.raises(ModelError, match=r"tiny\.xml: not a model that OpenVINO can load: .*weights"):
        OpenVinoEngine(path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"tiny\.bin: no such file; expected the weights of tiny\.xml"):
        OpenVinoEngine(path)
    with pytest.raises(ModelError, match=r"none\.xml: no such file"):
        OpenVinoEngine(path.with_name("none.xml"))


def test_other_models_are_rejected(tmp_path: Path) -> None:
    bare = write_tiny(tmp_path / "bare.onnx", {})
    for path in (bare, converted(bare)):
        with pytest.raises(ModelError, match=r"not a crowdpoint model: its metadata lack name"):
            OpenVinoEngine(path)
    integers = write_tiny(tmp_path / "bytes.onnx", image_type=TensorProto.UINT8)
    with pytest.raises(ModelError, match=r"expected one input, images \(B, 3, H, W\) float32, found .*uint8"):
        OpenVinoEngine(integers)
    renamed = write_tiny(tmp_path / "renamed.onnx", outputs=("points", "logits"))
    with pytest.raises(ModelError, match=r"expected outputs \['scores'\] too"):
        OpenVinoEngine(renamed)
    with pytest.raises(ValueError, match="threads: expected at least 1, found 0"):
        OpenVinoEngine(bare, threads=0)


def test_an_unknown_operator(tiny: Path) -> None:
    model = onnx.load(tiny)
    model.graph.node[2].op_type = "Fold"
    model.graph.node[2].domain = "elsewhere"
    model.opset_import.append(onnx.helper.make_opsetid("elsewhere", 1))
    onnx.save(model, tiny)
    with pytest.raises(ModelError, match=r"tiny\.onnx: (not a model that OpenVINO can load|OpenVINO cannot)"):
        OpenVinoEngine(tiny)


def test_the_predictor_chooses_it(tiny: Path) -> None:
    picture = np.zeros((40, 50, 3), np.uint8)
    picture[12, 20] = 255
    for path, engine in ((tiny, "openvino"), (converted(tiny), None), (converted(tiny), "openvino")):
        points = Predictor.load(path, engine=engine, threads=1).predict(picture)  # type: ignore[arg-type]
        np.testing.assert_allclose(points.xy, [(20, 12)])


def test_importing_it_sends_no_telemetry(tiny: Path) -> None:
    """OpenVINO's package for that is not even loaded, and may be imported by others afterwards."""
    code = (
        "import crowdpoint, importlib.util, sys, numpy as np\n"
        f"model = crowdpoint.load({str(tiny)!r}, engine='openvino')\n"
        "model.predict(np.zeros((16, 16, 3), np.uint8))\n"
        "print([name for name in sys.modules if name.startswith(('openvino_telemetry', 'torch', 'onnx'))])\n"
        "assert 'openvino' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

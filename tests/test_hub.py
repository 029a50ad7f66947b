"""Models on the Hugging Face Hub: a server of this machine stands in for it."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_models import write_tiny
from web_servers import QuietHandler, serving

from crowdpoint import Predictor, zoo
from crowdpoint.errors import MissingExtraError

COMMIT = "c" * 40
REVISIONS = ("main", "v2", COMMIT)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """URL of a Hub with the repository `user/name`, which has a model, its card, and something else."""
    files = {
        "model.onnx": write_tiny(tmp_path / "model.onnx").read_bytes(),
        "README.md": b"# A card",
        "photos.zip": b"not for us",
    }

    class Hub(QuietHandler):
        def do_GET(self) -> None:
            path, _, _ = self.path.partition("?")
            api, resolve = "/api/models/user/name/", "/user/name/resolve/"
            if path.startswith(api):
                kind, revision = path.removeprefix(api).split("/")[:2]
                known = revision in REVISIONS
                siblings = [{"rfilename": name} for name in files]
                tree = [
                    {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                    for name, content in files.items()
                ]
                about = {"id": "user/name", "sha": COMMIT, "siblings": siblings}
                self._answer(json.dumps(tree if kind == "tree" else about).encode() if known else None)
            else:
                revision, _, name = path.removeprefix(resolve).partition("/")
                self._answer(files.get(name) if path.startswith(resolve) and revision in REVISIONS else None)

        do_HEAD = do_GET

        def _answer(self, content: bytes | None) -> None:
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("X-Repo-Commit", COMMIT)
            if content is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            else:
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.end_headers()
            if content and self.command == "GET":
                self.wfile.write(content)

    with serving(Hub) as host:
        yield f"http://{host}"


def _python(code: str, hub: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run code with this Hub, whose address the package reads when it is imported."""
    where = {"HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | where
    )


def test_a_model_is_downloaded_by_its_name(hub: str, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface-hub is not installed: pip install -e '.[hub]'")
    code = """
from crowdpoint import Predictor
for predictor in (Predictor.load("hf://user/name@v2"), Predictor.from_pretrained("user/name", threshold=0.3)):
    print(predictor.info.name, predictor.threshold)
"""
    done = _python(code, hub, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["tiny 0.5", "tiny 0.3"]
    kept = {path.name for path in (tmp_path / "cache").rglob("*") if path.suffix in (".onnx", ".md", ".zip")}
    assert kept == {"model.onnx"}, "nothing else is downloaded"


def test_a_folder_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user" / "name").mkdir(parents=True)
    write_tiny(tmp_path / "user" / "name" / "model.onnx")
    predictor = Predictor.from_pretrained("user/name", threshold=0.3)
    assert (predictor.info.name, predictor.threshold) == ("tiny", 0.3)


def test_a_repository_is_as_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint goes first."""
    asked = []

    def download(repository: str, **_: object) -> str:
        asked.append(repository)
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=download))
    write_tiny(tmp_path / "model.onnx")
    assert Predictor.from_pretrained("hf://user/name").info.name == "tiny"
    assert asked == ["user/name"]
    for name in ("config.yaml", "weights.safetensors"):
        (tmp_path / name).touch()
    assert zoo.resolve("hf://user/name") == zoo.resolve(tmp_path) == tmp_path


def test_a_name_that_the_hub_does_not_know_is_one_line(hub: str, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface-hub is not installed: pip install -e '.[hub]'")
    command = "import sys; sys.argv[1:] = ['bench', 'hf://no/body']; from crowdpoint.cli import main; main()"
    done = _python(command, hub, tmp_path / "cache")
    assert done.returncode == 2
    assert done.stderr.startswith("crowdpoint: hf://no/body: cannot be downloaded: ")
    assert done.stderr.count("\n") == 1


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"hf://user/name: the Hugging Face Hub .*crowdpoint\[hub\]"):
        zoo.resolve("hf://user/name")

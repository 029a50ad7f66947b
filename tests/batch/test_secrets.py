"""Passwords of locations reach no table and no message, even if a store repeats them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from command_line import crowdpoint
from PIL import Image

from crowdpoint.batch import parts
from crowdpoint.batch.plan import Plan
from crowdpoint.batch.worker import Outcome
from crowdpoint.errors import ConfigError, ImageError
from crowdpoint.opening import open_image

URL = "https://user:secret@photos.example/a.jpg?token=secret"


def test_secrets_are_not_stored_and_finished_images_are_recognized() -> None:
    def predict(images: list[str], _: object) -> list[Outcome]:
        return [Outcome(image, error=f"{image} cannot be fetched") for image in images]

    worker: Any = SimpleNamespace(predict=predict)
    model: Any = SimpleNamespace()
    part = parts.predict([URL], worker, model, lambda _: None)
    ((image, error),) = parts.decode_failures(part.failures)
    assert image == "https://***@photos.example/a.jpg?token=***"
    assert error == f"{image} cannot be fetched"
    tables = {"failures": [[image]], "points": []}
    store: Any = SimpleNamespace(images=tables.__getitem__)
    plan = Plan.compare({URL: None, "b.jpg": None}, store)
    assert (plan.images, plan.failed_before) == ({"b.jpg": None}, 1)


class _TalkativeStore(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store whose errors repeat what it was called with, without `://`."""

    protocol = "talkative"
    cachable = False

    def __init__(self, **options: object) -> None:
        super().__init__()

    def info(self, path: str, **_: object) -> dict[str, object]:
        if "listed" in path:
            return {"name": path, "type": "file", "size": 1}
        raise PermissionError(f"no bucket {path.removeprefix('talkative://')!r}")

    def cat_file(self, path: str, *_: object, **__: object) -> bytes:
        raise ConnectionError(f"no bucket {path.removeprefix('talkative://')!r}, not even for pw d")

    def ls(self, path: str, *_: object, **__: object) -> list[str]:
        raise ConnectionError(f"no bucket {path.removeprefix('talkative://')!r}")


@pytest.fixture
def store() -> str:
    """Location with a secret of a store that repeats it in its errors."""
    fsspec.register_implementation("talkative", _TalkativeStore, clobber=True)
    return "talkative://user:pw%20d@bucket"


@pytest.mark.parametrize("arguments", [("predict", "{}/a.jpg"), ("batch", "{}/a.jpg", "out")])
def test_a_store_that_cannot_be_listed(
    store: str, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = crowdpoint(*(argument.format(store) for argument in arguments))
    assert outcome.code == 1
    assert outcome.err.startswith(
        "crowdpoint: talkative://***@bucket/a.jpg: cannot be listed: PermissionError: no bucket '***@bucket/"
    )


def test_an_image_that_cannot_be_downloaded(store: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught, open_image(f"{store}/listed.jpg"):
        pass
    assert str(caught.value) == (
        "talkative://***@bucket/listed.jpg: download failed "
        "(ConnectionError: no bucket '***@bucket/listed.jpg', not even for ***)"
    )
    outcome = crowdpoint("predict", f"{store}/listed.jpg", "--out", tmp_path, "--save", "counts", "--json")
    assert outcome.code == 1
    for text in (outcome.out, outcome.err, (tmp_path / "counts.csv").read_text()):
        assert "pw" not in text


def test_an_output_that_cannot_be_read(store: str, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    outcome = crowdpoint("batch", tmp_path, f"{store}/out")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == (
        "crowdpoint: talkative://***@bucket/out/manifest.json: cannot be read: "
        "no bucket '***@bucket/out/manifest.json', not even for ***"
    )


def test_images_that_differ_only_in_a_secret_are_refused() -> None:
    """Results could not tell which of them is finished."""
    store: Any = SimpleNamespace()
    urls = dict.fromkeys(f"https://site/photo?key={number}" for number in (1, 2))
    with pytest.raises(ConfigError, match=r"^https://site/photo\?key=\*\*\*: two images have this name"):
        Plan.compare(urls, store)

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from tiny_models import write_tiny

from crowdpoint.batch.model import PortableModel
from crowdpoint.batch.parts import ChunkResult, decode_failures, encode_failures
from crowdpoint.batch.plan import Plan
from crowdpoint.batch.store import Store
from crowdpoint.errors import BatchError, ConfigError
from crowdpoint.opening import storage


@pytest.fixture
def model(tmp_path: Path) -> PortableModel:
    return PortableModel.inspect(str(write_tiny(tmp_path / "tiny.onnx")))


@pytest.fixture(params=["local", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A location whose brackets would be a wildcard in a glob."""
    if request.param == "local":
        yield str(tmp_path / "new" / "out [1]")
    else:
        yield "memory://out/run [1]"
        fsspec.filesystem("memory").rm("memory://out", recursive=True)


def part(name: str, *failed: str) -> ChunkResult:
    content = encode_failures([(image, "broken") for image in failed])
    return ChunkResult(name, b"", content, predicted=0, failed=len(failed), people=0)


def failures(store: Store) -> list[str]:
    return sorted(image for images in store.images("failures") for image in images)


def test_failures_are_kept_until_they_are_removed(model: PortableModel, output: str) -> None:
    store = Store(output, model)
    assert failures(store) == []
    store.write(part("part-1", "a", "b"))
    store.write(part("part-2", "c"))
    again = Store(output, model)
    assert failures(again) == ["a", "b", "c"]
    again.remove_failures({"b": None, "c": None, "d": None})
    assert failures(again) == ["a"]


def test_what_a_kill_leaves_behind_disturbs_no_later_run(model: PortableModel, output: str) -> None:
    store = Store(output, model)
    store.write(part("part-1", "a"))
    files = storage.create_filesystem(store.location)
    for table in ("points", "failures"):
        storage.make_folder(f"{store.location}/{table}/.crowdpoint-x")
        for draft in (".part-2.parquet.0123456789abcdef.tmp", ".crowdpoint-x/part-2.parquet"):
            files.pipe_file(f"{store.location}/{table}/{draft}", b"PAR1 of which the rest was not writ")
    again = Store(output, model)
    assert (failures(again), list(again.images("points"))) == (["a"], [])
    again.write(part("part-2", "b"))
    again.remove_failures({"a": None})
    assert failures(again) == ["b"]


def test_a_plan_leaves_out_finished_images(model: PortableModel, output: str) -> None:
    store = Store(output, model)
    store.write(part("part-1", "a", "b"))
    plan = Plan.compare(dict.fromkeys("abcd"), store)
    assert (list(plan.images), plan.total, plan.failed_before, plan.predicted_before) == (["c", "d"], 4, 2, 0)
    plan = Plan.compare(dict.fromkeys("ac"), store, retry_failures=True)
    assert (list(plan.images), plan.failed_before) == (["a", "c"], 0)
    assert failures(store) == ["b"]


def test_a_small_batch_is_split_among_workers(model: PortableModel) -> None:
    plan = Plan(dict.fromkeys(map(str, range(100))), 100, 0, 0)
    chunks = list(plan.chunks(256, workers=2))
    assert [len(chunk) for chunk in chunks] == [12] * 8 + [4]
    assert [image for chunk in chunks for image in chunk] == list(plan.images)
    assert [len(chunk) for chunk in plan.chunks(5, workers=2)] == [5] * 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.25}, "threshold 0.5, expected threshold 0.25"),
        ({"options": {"scale": 2.0}}, "scale auto, expected scale 2.0"),
        ({"options": {"max_side": 300}}, "max_side none, expected max_side 300"),
        ({"options": {"overrides": ["radius=0"]}}, "settings none, expected settings radius=0"),
        ({"weights": "0" * 64}, ", expected weights 000000000000…"),
        ({"name": "other"}, "model tiny, expected model other"),
        ({"precision": "bf16"}, "precision fp32, expected precision bf16"),
    ],
    ids=lambda change: str(change)[:20],
)
def test_other_settings_are_refused_and_named(
    model: PortableModel, output: str, change: dict[str, object], message: str
) -> None:
    Store(output, model)
    with pytest.raises(ConfigError, match=f"contains predictions with .*{re.escape(message)}; use"):
        Store(output, replace(model, **change))  # type: ignore[arg-type]


def test_an_output_without_a_manifest_is_refused(model: PortableModel, tmp_path: Path) -> None:
    for table in ("points", "failures"):
        (tmp_path / table / table).mkdir(parents=True)
        (tmp_path / table / table / "other.parquet").touch()
        with pytest.raises(ConfigError, match=f"contains {table}, but no manifest.json"):
            Store(str(tmp_path / table), model)
    for text in ("{", "[" * 100_000, "5", "[[]]"):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(ConfigError, match=r"manifest\.json: expected the JSON of an earlier batch"):
            Store(str(tmp_path), model)
    (tmp_path / "manifest.json").write_text('{"settings": []}')
    with pytest.raises(ConfigError, match="contains predictions with model none"):
        Store(str(tmp_path), model)
    with pytest.raises(ConfigError, match="cannot be created"):
        Store(str(tmp_path / "manifest.json" / "out"), model)


def test_a_damaged_file_is_named(model: PortableModel, tmp_path: Path) -> None:
    store = Store(str(tmp_path), model)
    (tmp_path / "points" / "part-bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(BatchError, match=r"part-bad\.parquet.*delete damaged files"):
        list(store.images("points"))


def test_files_are_written_atomically(
    model: PortableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path), model)

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(BatchError, match=r"part-1\.parquet: cannot be written: disk full"):
            store.write(part("part-1", "a"))
    assert failures(store) == []
    assert not list(tmp_path.glob("*/*.parquet"))
    store.write(part("part-1", "a"))
    assert failures(store) == ["a"]


def test_a_file_is_flushed_before_it_appears(
    model: PortableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that after a power cut it is whole or not there."""
    store = Store(str(tmp_path), model)
    move = Path.replace
    synced: list[int] = []

    def moved(draft: Path, target: Path) -> Path:
        assert draft.stat().st_ino in synced
        return move(draft, target)

    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    monkeypatch.setattr(Path, "replace", moved)
    store.write(part("part-1", "a"))
    assert failures(store) == ["a"]


def test_the_manifest_has_the_model_and_settings(model: PortableModel, output: str) -> None:
    store = Store(output, model)
    manifest = json.loads(storage.read(f"{store.location}/manifest.json"))
    assert manifest["model"] == "tiny"
    assert manifest["threshold"] == 0.5
    assert manifest["scale"] == "auto"
    assert len(manifest["weights"]) == 64


def test_failures_round_trip() -> None:
    rows = [("a.jpg", "broken"), ("ü.jpg", "")]
    assert decode_failures(encode_failures(rows)) == rows
    assert decode_failures(b"") == []

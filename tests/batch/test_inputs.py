import os
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from drawn_batches import draw_photos
from fsspec.registry import known_implementations

from crowdpoint.batch.inputs import collect
from crowdpoint.errors import BatchError, ConfigError


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    """A store in memory: photos, hidden ones, a raster and a text."""
    store = fsspec.filesystem("memory")
    for name in (
        "a.jpg",
        "deep/b.PNG",
        "deep/c.jpg",
        "deep/._c.jpg",
        "deep/d.jp2",
        ".thumbs/e.jpg",
        "notes.txt",
    ):
        store.pipe_file(f"memory://bucket/{name}", b"x")
    yield store
    store.rm("memory://bucket", recursive=True)


def test_folders_globs_and_files_name_each_image_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = draw_photos(tmp_path / "in", 4)
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "in" / "._hidden.jpg").touch()
    (tmp_path / "in" / "again.png").symlink_to(photos[0])
    (tmp_path / "elsewhere").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    found = collect(["in", "in/0*.png", photos[1], f"file://{tmp_path}/in", "elsewhere"])
    assert sorted(found.images) == photos
    assert found.missing == []
    assert list(collect(["in/notes.txt"]).images) == [str(tmp_path / "in" / "notes.txt")]
    assert sorted(collect(["in/**/*.png"]).images) == photos


def test_a_folder_of_this_machine_stands_for_its_rasters_but_for_no_linked_folder(tmp_path: Path) -> None:
    for name in ("in/a.jp2", "in/b.VRT", "in/c.tif", "in/._a.jp2", "elsewhere/d.jp2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    assert list(collect([str(tmp_path / "in")]).images) == [
        str(tmp_path / "in" / name) for name in ("a.jp2", "c.tif")
    ]


def test_hidden_folders_are_left_out_unless_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = draw_photos(tmp_path / ".cache" / "in", 2)
    draw_photos(tmp_path / ".cache" / "in" / ".thumbs" / "below", 2)
    for argument in (f"{tmp_path}/.cache/in", f"{tmp_path}/.cache/in/**", f"{tmp_path}/.cache"):
        assert sorted(collect([argument]).images) == below
    assert collect([str(tmp_path)]).images == {}
    monkeypatch.chdir(tmp_path / ".cache")
    assert len(collect(["in/.thumbs"]).images) == len(collect(["*/.thumbs/**/*.png"]).images) == 2


def test_missing_inputs_are_reported(tmp_path: Path) -> None:
    found = collect([str(tmp_path / "nope"), str(tmp_path)])
    assert not found.images
    assert found.missing[0].startswith(f"{tmp_path}/nope: no such file")
    assert len(found.missing) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, names are text")
def test_a_file_name_that_is_not_utf_8_is_reported(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")).touch()
    found = collect([str(tmp_path)])
    assert not found.images
    assert "not UTF-8" in found.missing[0]


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw_photos(tmp_path / "in", 3)
    scan = os.scandir

    def closed(path: str) -> object:
        if path.endswith("below"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = collect([str(tmp_path / "in")])
    assert list(found.images) == photos[:2]
    assert found.missing == [f"{tmp_path}/in/below: cannot be listed (Permission denied)"]


@pytest.mark.parametrize(
    ("argument", "names"),
    [
        ("memory://bucket", ["a.jpg", "deep/b.PNG", "deep/c.jpg", "deep/d.jp2"]),
        ("memory://bucket/deep/", ["deep/b.PNG", "deep/c.jpg", "deep/d.jp2"]),
        ("memory://bucket/*.jpg", ["a.jpg"]),
        ("memory://bucket/**/c.jpg", ["deep/c.jpg"]),
        ("memory://bucket/**/[a-e].jpg", ["a.jpg", "deep/c.jpg"]),
        ("memory://bucket/.thumbs", [".thumbs/e.jpg"]),
        ("memory://bucket/.thumbs/*", [".thumbs/e.jpg"]),
        ("memory://bucket/notes.txt", ["notes.txt"]),
    ],
)
def test_urls(bucket: fsspec.AbstractFileSystem, argument: str, names: list[str]) -> None:
    assert sorted(collect([argument]).images) == [f"memory://bucket/{name}" for name in names]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("no-such://bucket/a.jpg", "Protocol not known: no-such"),
        ("absent://bucket/a.jpg", "absent:// needs a package that is not installed: Install absentfs"),
        ("memory://*/a.jpg", "before the first wildcard"),
    ],
)
def test_protocols_that_cannot_be_used(argument: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"class": "absentfs.Store", "err": "Install absentfs"}
    monkeypatch.setitem(known_implementations, "absent", absent)
    with pytest.raises(ConfigError, match=expected):
        collect([argument])


def test_a_failing_store_is_named(bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise PermissionError("no credentials")

    with monkeypatch.context() as patch:
        patch.setattr(bucket, "info", fail)
        with pytest.raises(BatchError, match=r"bucket/a\.jpg: cannot be listed: .*no credentials"):
            collect(["memory://bucket/a.jpg"])

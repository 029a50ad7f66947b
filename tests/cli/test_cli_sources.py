import errno
import os
import shlex
from pathlib import Path

import fsspec
import pytest

from crowdpoint import folders
from crowdpoint.batch import inputs
from crowdpoint.cli.sources import collect
from crowdpoint.errors import ConfigError
from crowdpoint.outputs import LOCK
from crowdpoint.redaction import redact


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _names(*arguments: str | Path) -> list[str]:
    found = collect(map(str, arguments))
    assert found.missing == {}
    return [source.name for source in found.images]


def test_folders_are_searched_in_natural_order(tmp_path: Path) -> None:
    _touch(tmp_path, "IMG_10.jpg", "IMG_2.JPG", "sub/IMG_1.png", "notes.txt", "._IMG_2.jpg", "dir.jpg/x.webp")
    assert _names(tmp_path) == ["IMG_2.JPG", "IMG_10.jpg", "dir.jpg/x.webp", "sub/IMG_1.png"]


def test_pictures_that_an_earlier_run_drew_are_left_out_unless_named(tmp_path: Path) -> None:
    _touch(
        tmp_path,
        "a.jpg",
        "panel/b.jpg",
        "results/overlay/a.jpg",
        "results/overlay/sub/b.jpg",
        f"results/{LOCK}",
    )
    found = collect([str(tmp_path)])
    assert [source.name for source in found.images] == ["a.jpg", "panel/b.jpg"]
    assert found.remarks == [
        f"{tmp_path}: 2 files are left out: 2 drawn by crowdpoint (name their folder to count them)"
    ]
    assert inputs.collect([str(tmp_path)]).left_out.total() == 2, "by batch, too"
    assert _names(tmp_path / "results/overlay") == ["a.jpg", "sub/b.jpg"]


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path, "a.jpg", "below/b.jpg")
    listed = os.scandir

    def scan(path: str) -> object:
        if Path(path).name == "below":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scan)
    found = collect([str(tmp_path)])
    assert [source.name for source in found.images] == ["a.jpg"]
    assert found.missing == {str(tmp_path / "below"): "cannot be listed (Permission denied)"}
    assert collect([str(tmp_path / "below")]).missing == found.missing


def test_globs_match_images_only(tmp_path: Path) -> None:
    _touch(tmp_path, "a1.jpg", "a2.txt", "b.jpg", "sub/a3.tif")
    assert _names(tmp_path / "a*") == ["a1.jpg"]
    assert _names(tmp_path / "**" / "a*") == ["a1.jpg", "a3.tif"]


def test_a_file_with_brackets_is_not_a_glob(tmp_path: Path) -> None:
    _touch(tmp_path, "photo[1].jpg")
    assert _names(tmp_path / "photo[1].jpg") == ["photo[1].jpg"]


def test_a_named_file_may_have_any_suffix(tmp_path: Path) -> None:
    _touch(tmp_path, "upload")
    assert _names(tmp_path / "upload") == ["upload"]


def test_every_image_comes_once_and_names_differ(tmp_path: Path) -> None:
    _touch(tmp_path, "a/x.jpg", "b/x.jpg", "b/X.png", "c/x-2.jpg")
    arguments = [
        tmp_path / part for part in ("a/x.jpg", "c/x-2.jpg", "b/x.jpg", "b/X.png", "a", "a/../a/x.jpg")
    ]
    assert _names(*arguments) == ["a/x.jpg", "x-2.jpg", "b/x.jpg", "X.png"]
    stems = [source.stem for source in collect(map(str, arguments)).images]
    assert stems == ["a/x", "x-2", "b/x", "X"]
    assert [source.stem for source in collect([str(tmp_path / "b")]).images] == ["X", "x-2"], "both are JPEG"


def test_names_in_tables_are_those_of_the_files(tmp_path: Path) -> None:
    """Only pictures need names that differ where a file system ignores case."""
    _touch(tmp_path, "X.JPG", "x.jpg", "x-2.jpg")
    found = collect([str(tmp_path)]).images
    assert {Path(image.location).name: image.name for image in found} == {
        name: name for name in ("X.JPG", "x.jpg", "x-2.jpg")
    }
    assert len({image.stem.casefold() for image in found}) == 3


def test_file_urls_may_escape_characters(tmp_path: Path) -> None:
    _touch(tmp_path, "b é.jpg", "100%25.jpg")
    assert _names((tmp_path / "b é.jpg").as_uri()) == ["b é.jpg"]
    assert _names(f"file://{tmp_path}/100%25.jpg") == ["100%25.jpg"], "as it is, if there is such a file"


def test_equal_names_have_the_folders_that_differ(tmp_path: Path) -> None:
    _touch(tmp_path, "may/1/a.jpg", "june/1/a.jpg", "june/1/b.jpg", "june/2/a.jpg")
    months = [tmp_path / "may", tmp_path / "june"]
    assert _names(*months) == ["may/1/a.jpg", "june/1/a.jpg", "1/b.jpg", "2/a.jpg"]
    assert _names(tmp_path / "*" / "*" / "a.jpg") == ["june/1/a.jpg", "2/a.jpg", "may/1/a.jpg"]
    assert _names(months[0] / ".." / "may" / "1" / "a.jpg", months[1] / "1") == [
        "may/1/a.jpg",
        "june/1/a.jpg",
        "b.jpg",
    ]
    urls = [f"https://a.org/{path}" for path in ("may%3f/../a.jpg?k=1", "june/a.jpg", "june/a.jpg?k=2")]
    assert _names(*urls) == ["may_/a.jpg", "june/a.jpg", "june/a-2.jpg"]


def test_output_folders_are_not_inputs(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "out/overlay/a.jpg", "out/b.jpg")
    found = collect([str(tmp_path)], exclude=[tmp_path / "out" / "overlay"])
    assert [source.name for source in found.images] == ["a.jpg", "out/b.jpg"]


def test_arguments_without_images_are_reported(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "empty/readme.md")
    found = collect([str(tmp_path / part) for part in ("none.jpg", "a.jpg", "empty", "*.png")])
    assert [source.name for source in found.images] == ["a.jpg"]
    assert found.missing == {
        str(tmp_path / "none.jpg"): "not found",
        str(tmp_path / "empty"): "no images in this folder",
        str(tmp_path / "*.png"): "not found",
    }
    assert collect(["a.jpg " * 1000]).missing == {"a.jpg " * 1000: "not found"}, "no file can be called so"


def test_left_out_photos_and_videos_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "IMAGE_SUFFIXES", frozenset({".jpg"}))
    _touch(tmp_path, "a/1.jpg", "a/2.HEIC", "a/sub/3.heic", "a/4.mp4", "a/5.txt", "a/._6.heic")
    _touch(tmp_path, "b/1.GIF", "c/1.jpg")
    found = collect([str(tmp_path / name) for name in ("a", "b", "c", "a/*", "b/*")])
    assert [source.name for source in found.images] == ["a/1.jpg", "c/1.jpg"]
    photos, videos = "save photos as JPEG to count them", "crowdpoint video counts videos"
    assert found.remarks == [
        f"{tmp_path / 'a'}: 3 files are left out: 2 .heic, 1 .mp4 ({photos}; {videos})",
        f"{tmp_path / 'a/*'}: 2 files are left out: 1 .heic, 1 .mp4 ({photos}; {videos})",
    ]
    assert found.missing == {
        str(tmp_path / "b"): f"no images in this folder; 1 file is left out: 1 .gif ({photos})",
        str(tmp_path / "b/*"): f"nothing matches that can be read; 1 file is left out: 1 .gif ({photos})",
    }


@pytest.mark.parametrize("name", ["street.MP4", "mixed dir/it's.mp4"])
def test_a_video_names_its_command(tmp_path: Path, name: str) -> None:
    _touch(tmp_path, name)
    path = str(tmp_path / name)
    (reason,) = collect([path]).missing.values()
    told, command = reason.split(": ")
    assert told == "is a video; count the people in it with"
    assert shlex.split(command) == ["crowdpoint", "video", path]


def test_a_video_of_a_url_names_its_command(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/cli-sources-video/street.MP4", b"")
    _touch(tmp_path, "street.mov")
    store, none = "memory://cli-sources-video/street.MP4", "memory://cli-sources-video/none.mp4"
    web, local = "https://user:secret@host/street.mp4?key=1", f"file://{tmp_path}/street.mov"
    found = collect([store, none, web, local])
    assert not found.images
    assert "secret" not in found.missing[web]
    assert {argument: reason.partition("crowdpoint ")[::2] for argument, reason in found.missing.items()} == {
        store: ("is a video; download it, then count the people in it with: ", "video street.MP4"),
        none: ("not found", ""),
        web: ("is a video; count the people in it with: ", f"video '{redact(web)}'"),
        local: ("is a video; count the people in it with: ", f"video {tmp_path / 'street.mov'}"),
    }


def test_stores_are_listed(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    for name in ("b/2.jpg", "b/10.png", "b/sub/2.jpg", "b/notes.txt", "b/sub/street.MP4", "b/._street.mp4"):
        store.pipe(f"/cli-sources/{name}", b"")
    _touch(tmp_path, "a.jpg")
    root = "memory://cli-sources/b"
    found = collect([root, f"{root}/*.png", f"{root}/none.jpg", f"file://{tmp_path}"])
    assert {source.name: source.location for source in found.images} == {
        "2.jpg": f"{root}/2.jpg",
        "10.png": f"{root}/10.png",
        "sub/2.jpg": f"{root}/sub/2.jpg",
        "a.jpg": str(tmp_path / "a.jpg"),
    }
    assert list(found.missing) == [f"{root}/none.jpg"]
    assert found.remarks == [f"{root}: 1 file is left out: 1 .mp4 (crowdpoint video counts videos)"]
    with pytest.raises(ConfigError, match="nosuch"):
        collect(["nosuch://bucket/a.jpg"])


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/photo.jpg?size=3", "photo.jpg"),
        ("http://host", "image"),
        ("http://host.mov?a=/b.mp4", "image"),
        ("http://[/a.png", "a.png"),
        ("https://host/a%20b.png", "a b.png"),
        ("https://host/..%2F..%2Fetc.png", "etc.png"),
        ("https://host/..%5C..%5Cetc.png", "etc.png"),
        ("https://host/..", "image"),
    ],
)
def test_names_of_urls_stay_inside_the_folder(url: str, name: str) -> None:
    assert _names(url) == [name]


def test_keys_of_a_store_become_paths_below_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/cli-sources-keys/ok.png", b"")
    keys = ["../../a.png", "/etc/b.png", "x/./c.png", r"y\..\d.png", "ok.png"]
    monkeypatch.setattr(store, "find", lambda _: [f"/cli-sources-keys/{key}" for key in keys])
    found = collect(["memory://cli-sources-keys"])
    assert [source.location for source in found.images] == [
        f"memory://cli-sources-keys/{key}" for key in keys
    ]
    assert [source.name for source in found.images] == ["a.png", "etc/b.png", "x/c.png", "y/d.png", "ok.png"]
    assert [source.stem for source in found.images] == ["a", "etc/b", "x/c", "y/d", "ok"]

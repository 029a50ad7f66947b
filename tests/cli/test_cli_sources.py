from pathlib import Path

import pytest

from crowdpoint.cli.sources import collect


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _names(*arguments: str | Path) -> list[str]:
    found, missing = collect(map(str, arguments))
    assert missing == []
    return [source.name for source in found]


def test_folders_are_searched_in_natural_order(tmp_path: Path) -> None:
    _touch(tmp_path, "IMG_10.jpg", "IMG_2.JPG", "sub/IMG_1.png", "notes.txt", "._IMG_2.jpg", "dir.jpg/x.webp")
    assert _names(tmp_path) == ["IMG_2", "IMG_10", "dir.jpg/x", "sub/IMG_1"]


def test_globs_match_images_only(tmp_path: Path) -> None:
    _touch(tmp_path, "a1.jpg", "a2.txt", "b.jpg", "sub/a3.tif")
    assert _names(tmp_path / "a*") == ["a1"]
    assert _names(tmp_path / "**" / "a*") == ["a1", "a3"]


def test_a_file_with_brackets_is_not_a_glob(tmp_path: Path) -> None:
    _touch(tmp_path, "photo[1].jpg")
    assert _names(tmp_path / "photo[1].jpg") == ["photo[1]"]


def test_a_named_file_may_have_any_suffix(tmp_path: Path) -> None:
    _touch(tmp_path, "upload")
    assert _names(tmp_path / "upload") == ["upload"]


def test_every_image_comes_once_and_names_differ(tmp_path: Path) -> None:
    _touch(tmp_path, "a/x.jpg", "b/x.jpg", "b/X.png", "c/x-2.jpg")
    arguments = [
        tmp_path / part for part in ("a/x.jpg", "c/x-2.jpg", "b/x.jpg", "b/X.png", "a", "a/../a/x.jpg")
    ]
    assert _names(*arguments) == ["x", "x-2", "x-3", "X-4"]


def test_outputs_are_not_taken_for_inputs(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "out/overlay/a.jpg", "out/b.jpg")
    found, _ = collect([str(tmp_path)], exclude=[tmp_path / "out" / "overlay"])
    assert [source.name for source in found] == ["a", "out/b"]


def test_what_stands_for_nothing_is_said(tmp_path: Path) -> None:
    _touch(tmp_path, "a.jpg", "empty/readme.md")
    found, missing = collect([str(tmp_path / part) for part in ("none.jpg", "a.jpg", "empty", "*.png")])
    assert [source.name for source in found] == ["a"]
    assert missing == [
        f"{tmp_path / 'none.jpg'}: not found",
        f"{tmp_path / 'empty'}: no images in this folder",
        f"{tmp_path / '*.png'}: not found",
    ]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/photo.jpg?size=3", "photo"),
        ("http://host", "image"),
        ("https://host/a%20b.png", "a b"),
        ("https://host/..%2F..%2Fetc.png", "etc"),
        ("https://host/..%5C..%5Cetc.png", "etc"),
        ("https://host/..", "image"),
    ],
)
def test_names_of_urls_stay_inside_the_folder(url: str, name: str) -> None:
    assert _names(url) == [name]

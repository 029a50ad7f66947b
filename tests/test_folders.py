"""Folders: what is listed of them."""

from pathlib import Path

from crowdpoint.folders import list_files


def test_hidden_folders_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    folder = tmp_path / ".photos"
    for name in (
        "b.png",
        "deep/a.PNG",
        ".hidden.png",
        ".thumbs/c.png",
        "deep/.thumbs/more/d.png",
        "notes.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert list_files(folder, {".png"}) == [folder / "b.png"]
    assert list_files(folder, {".png"}, below=True) == [folder / "b.png", folder / "deep/a.PNG"]
    assert list_files(folder / ".thumbs", {".png"}, below=True) == [folder / ".thumbs/c.png"]

"""outputs: files appear whole or not at all, and a folder has one writer."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crowdpoint.errors import StorageError, wrap_write_errors
from crowdpoint.outputs import LOCK, lock_folder, write, write_atomically


def test_a_file_appears_with_its_companions(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("old")
    with write_atomically(path, sync=True) as draft:
        draft.write_text("new")
        draft.with_name("a.bin").write_text("weights")
        assert path.read_text() == "old"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "a.xml": "new",
        "a.bin": "weights",
    }


def _write_half(path: Path) -> None:
    with wrap_write_errors(path), write_atomically(path) as draft:
        draft.write_text("half")
        raise OSError(28, "No space left on device")


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(StorageError, match=r"No space left.*free some space"):
        _write_half(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "old"


def test_the_draft_has_an_unpredictable_name(tmp_path: Path) -> None:
    """A link by the name of a draft would send what is written elsewhere."""
    names = []
    for _ in range(2):
        with write_atomically(tmp_path / "a.csv") as draft:
            names.append(draft.parent.name)
            assert draft.parent.stat().st_mode & 0o077 == 0
            draft.touch()
    assert names[0] != names[1]


def test_a_second_run_is_told_which_process_locks_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = f"""
import sys
from pathlib import Path
from crowdpoint.outputs import lock_folder
sys.argv = ["crowdpoint", "batch"]
with lock_folder(Path({str(out)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        expected = rf"out: another run is writing here \(crowdpoint batch, process {other.pid} on"
        with pytest.raises(StorageError, match=expected), lock_folder(out):
            pass
        other.kill()
    with lock_folder(out):  # a run that was killed holds nothing
        pass
    with lock_folder(out):  # nor does one that ended
        pass


def test_a_folder_that_stays_empty_is_removed(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "new" / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_and_one_that_was_there_stay(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    with lock_folder(tmp_path / "before"):
        pass
    assert list((tmp_path / "before").iterdir()) == []
    with lock_folder(tmp_path / "used"):
        (tmp_path / "used" / "a.csv").touch()
    assert (tmp_path / "used" / "a.csv").is_file()


def test_a_folder_may_be_deleted_while_it_is_locked(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out"):
        shutil.rmtree(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match="file/out: cannot be written"),
        lock_folder(tmp_path / "file" / "out"),
    ):
        pass
    assert LOCK.startswith(".")


def test_a_file_is_written_with_its_folder_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    for content in (b"first", b"second"):
        write(path, content)
        assert path.read_bytes() == content
    with pytest.raises(StorageError, match=r"a\.json/b: cannot be written .*; free some space or choose"):
        write(path / "b", b"")
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]

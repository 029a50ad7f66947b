"""memory: what a container and a machine leave."""

import subprocess
import sys
from pathlib import Path

import pytest

from crowdpoint import memory


def test_the_container_limits_the_memory(tmp_path: Path) -> None:
    """What files hold in memory counts as used, and can be taken back."""
    for name, text in {
        "memory.max": "1000\n",
        "memory.current": "700\n",
        "memory.stat": "anon 400\ninactive_file 200\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert memory.get_available(tmp_path) == 500


def test_a_container_of_the_first_version(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("1200")
    assert memory.get_available(tmp_path) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what a process has")
def test_a_process_that_asks_for_more_than_its_part_is_refused() -> None:
    program = (
        "from crowdpoint import memory\nimport numpy as np\n"
        "memory.restrict(1 << 28)\nnp.ones(1 << 24, np.uint8)\n"
        "try: np.ones(1 << 29, np.uint8)\n"
        "except MemoryError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "refused\n"


def test_without_a_limit_the_machines_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("max")
    (tmp_path / "memory.current").write_text("700")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    3 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    assert memory.get_available(tmp_path) == 3072
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "nowhere")
    assert memory.get_available(tmp_path) is None

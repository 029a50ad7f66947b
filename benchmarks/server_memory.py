"""Memory of the server: of its main process, an idle worker, and a worker while it counts a photo.

    python benchmarks/server_memory.py

Starts `crowdpoint serve --workers 1` for each model, sends JPEGs of three sizes, and prints the peak resident
memory of the worker for each as a table, after that of the idle processes. Linux only.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from strangers import ask, picture

MODELS = ("p2pnet-lite", "fidtm-lite")
SIZES = ((1024, 768), (4000, 3000), (5656, 4242))
"""Width and height of the photos in pixels."""


@contextmanager
def run_server(model: str) -> Iterator[tuple[str, int]]:
    """Run a server with one worker, and yield its URL and process id."""
    command = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--workers", "1", "--model", model], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    found = re.search(r"http://\S+:\d+", process.stderr.readline())
    assert found is not None
    try:
        yield found[0], process.pid
    finally:
        process.terminate()
        process.wait()


def worker(parent: int) -> int:
    """Find the process id of the server's worker, which has more memory than its resource tracker."""
    children = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _parent(path) == parent]
    return max(children, key=lambda child: megabytes(child, "VmRSS"))


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended meanwhile
        return 0


def megabytes(process: int, field: str) -> float:
    """`VmRSS`, the present memory of a process, or `VmHWM`, its peak, in MB."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def peak(url: str, process: int, photo: bytes) -> float:
    """The peak memory of a process, in MB, while it counts a photo."""
    Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak is the present from here on
    ask(url, photo, 1, "127.0.0.1")
    return megabytes(process, "VmHWM")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    names = [f"{width}x{height}" for width, height in SIZES]
    print(f"| model | server | idle worker | {' | '.join(names)} |\n|{'---|' * (len(names) + 3)}")
    for model in MODELS:
        with run_server(model) as (url, server):
            child = worker(server)
            idle = (megabytes(server, "VmRSS"), megabytes(child, "VmRSS"))
            peaks = [peak(url, child, picture(*size)) for size in SIZES]
        print(f"| {model} | {' | '.join(f'{value:.0f} MB' for value in (*idle, *peaks))} |", flush=True)


if __name__ == "__main__":
    main()

"""Damaged files and requests: is each one read, refused by a clear error, or the end of a process?

    python benchmarks/hostile.py --pictures 20000 --annotations 20000 --models 500 --uploads 2000

Draws valid files, damages them by a random generator, and reads them as the commands do, in processes with a
limit of memory, so that a crash or a hang is counted and does not end the trial. The same seed makes the same
inputs. Prints a table, and the first line of every kind of fault; `--keep DIR` stores the inputs of faults.
"""

import argparse
import os
import resource
import shutil
import signal
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import numpy as np

from crowdpoint.errors import CrowdpointError, ProcessError
from crowdpoint.processes import Child

HANG_SECONDS = 20.0
"""Seconds of CPU time that one input may take, however busy the machine is."""

WAIT_SECONDS = 200.0
"""Seconds after which a process that does not use the CPU is counted as hanging, too."""

SPARE_BYTES = 4 << 30
"""Address space that an input may take beyond what its process has at the start."""

PIXEL_BYTES = 8
"""Memory that a picture may take for each of its pixels: twice what Pillow takes to hold it."""

OTHER_BYTES = 128 << 20
"""Memory that any input may take."""

OUTCOMES = ("read", "clear error", "other exception", "crash", "hang", "too much memory")

KINDS = {"pictures": 20_000, "annotations": 20_000, "models": 500, "uploads": 2_000}
"""Kind of inputs -> number that is read by default."""

BATCH = 100
"""Inputs that a process is asked for at a time."""


@dataclass(slots=True)
class Tally:
    """Outcomes of the inputs of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)
    """A line for each kind of fault -> the number of the first input that had it."""
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether every input was read or refused by a clear error."""
        return set(self.outcomes) <= {"read", "clear error"}

    def row(self, kind: str) -> str:
        """Build a line of the table."""
        cells = (
            kind,
            self.outcomes.total(),
            *(self.outcomes[name] for name in OUTCOMES),
            round(self.seconds),
        )
        return "| " + " | ".join(map(str, cells)) + " |"


@dataclass(frozen=True, slots=True)
class Found:
    """Outcome of one input."""

    number: int
    outcome: str
    line: str = ""
    """The fault, without the parts that differ from input to input."""


def trial(kind: str, count: int, seed: int, processes: int = 1, keep: Path | None = None) -> Tally:
    """Read damaged inputs.

    Args:
        kind: one of `KINDS`.
        count: how many.
        seed: of the random generators; input number n of a seed is always the same.
        processes: how many read at a time.
        keep: a folder for the inputs that are neither read nor refused.
    """
    tally = Tally()
    start = time.perf_counter()
    batches = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    shares = [batches[number::processes] for number in range(processes)]
    with ThreadPoolExecutor(processes) as threads:
        for share in threads.map(lambda own: list(_share(kind, seed, own, keep)), shares):
            for found in share:
                tally.outcomes[found.outcome] += 1
                if found.line:
                    tally.faults[found.line] = min(found.number, tally.faults.get(found.line, found.number))
    tally.seconds = time.perf_counter() - start
    return tally


def _share(kind: str, seed: int, batches: list[range], keep: Path | None) -> Iterator[Found]:
    """Read the inputs of some batches in one process after the other, and yield the outcomes."""
    with tempfile.TemporaryDirectory() as folder:
        child = Child(_work, kind, seed, folder, keep)
        for batch in batches:
            rest = list(batch)
            while rest:
                found = list(_answers(child, rest))
                yield from found
                del rest[: len(found)]
        child.close()


def _answers(child: Child, numbers: list[int]) -> Iterator[Found]:
    """Answers until all are there, or the process dies or hangs; the last one says so."""
    if not child.running:
        child.start()
    child.send(numbers)
    for number in numbers:
        hung = threading.Event()
        clock = threading.Timer(WAIT_SECONDS, _end, (child, hung))
        clock.start()
        try:
            yield child.receive()
        except ProcessError as error:
            hangs = hung.is_set() or signal.SIGPROF.name in str(error)
            line = f"no answer within {HANG_SECONDS:g} s" if hangs else str(error)
            yield Found(number, "hang" if hangs else "crash", line)
            return
        finally:
            clock.cancel()


def _end(child: Child, hung: threading.Event) -> None:
    hung.set()
    child.kill()


def _work(connection: Connection, kind: str, seed: int, folder: str, keep: Path | None) -> None:
    """Read the inputs of the numbers that are asked for, in a process of its own."""
    warnings.simplefilter("ignore")
    place = Path(folder) / "input"
    place.mkdir(exist_ok=True)
    inputs = _inputs(kind, seed, place)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders write there whatever they find
    used = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, resource.RLIM_INFINITY))
    connection.send(None)
    while True:
        try:
            numbers = connection.recv()
        except EOFError:
            return
        for number in numbers:
            rng = np.random.default_rng([seed, number])
            path, use = inputs.make(rng)
            if keep:
                _copy(path.parent, keep / f"{kind}-{seed}-{number}")
            found = _use(number, path, use, inputs.pixels)
            if keep and found.outcome in ("read", "clear error"):
                shutil.rmtree(keep / f"{kind}-{seed}-{number}")
            connection.send(found)


def _copy(folder: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)


def _use(number: int, path: Path, use: Callable[[Path], object], pixels: Callable[[Path], int]) -> Found:
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is the present from here on
    outcome, line = "read", ""
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)  # of CPU time; ends the process
    try:
        use(path)
    except ProcessError as error:
        outcome, line = "crash", str(error)
    except CrowdpointError:
        outcome = "clear error"
    except Exception as error:
        outcome, line = "other exception", _line(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    taken = _memory("VmHWM") - before
    if taken > PIXEL_BYTES * pixels(path) + OTHER_BYTES:
        return Found(
            number, "too much memory", f"{taken / 1e9:.1f} GB for {pixels(path) / 1e6:.1f} megapixels"
        )
    return Found(number, outcome, line)


def _memory(name: str) -> int:
    """Bytes of this process, by a line of its status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def _line(error: Exception) -> str:
    """The kind of an exception and where it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "crowdpoint" in frame.filename]
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


class Inputs(Protocol):
    """Maker of the inputs of one kind."""

    def make(self, rng: np.random.Generator) -> tuple[Path, Callable[[Path], object]]:
        """Write an input, alone in its folder but for what belongs to it; returns it and what reads it."""
        ...

    def pixels(self, path: Path) -> int:
        """The pixels that a picture says it has; 0 for others."""
        ...


def _inputs(kind: str, seed: int, folder: Path) -> Inputs:
    rng = np.random.default_rng(seed)
    if kind == "uploads":
        from hostile_uploads import Uploads

        return Uploads(folder)
    import hostile_inputs

    if kind == "models":
        return hostile_inputs.DamagedModels(folder)
    draw = hostile_inputs.pictures if kind == "pictures" else hostile_inputs.annotations
    return hostile_inputs.Damaged(draw(rng, folder), folder)


def main() -> None:
    """Print the table; ends with 1 if there was a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for kind, count in KINDS.items():
        parser.add_argument(f"--{kind}", type=int, default=count, metavar="N", help=f"[default: {count}]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    print(f"| inputs | number | {' | '.join(OUTCOMES)} | seconds |\n|{'---|' * (len(OUTCOMES) + 3)}")
    tallies = {}
    for kind in KINDS:
        if count := getattr(arguments, kind):
            tallies[kind] = trial(kind, count, arguments.seed, arguments.processes, arguments.keep)
            print(tallies[kind].row(kind), flush=True)
    for kind, tally in tallies.items():
        for line, number in tally.faults.items():
            print(f"{kind} {number}: {line}")
    if not all(tally.sound for tally in tallies.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

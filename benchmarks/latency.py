"""How long models take, as `crowdpoint bench` says, in turn and each in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from statistics import median

WIDTH, HEIGHT = 1024, 768

BENCH = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "bench", "--json"]


def milliseconds(
    models: Mapping[str, Sequence[str]], runs: int, rounds: int, threads: int | None
) -> dict[str, float]:
    """The median time for an image of `WIDTH` x `HEIGHT` pixels.

    Rounds alternate, so that what disturbs the machine for a while disturbs all alike.

    Args:
        models: what to call each -> its arguments of `crowdpoint bench`.
        runs: timed images of one process.
        rounds: processes for each.
        threads: of one process; every core by default.
    """
    common = ["--size", f"{WIDTH}x{HEIGHT}", "--runs", str(runs)]
    common += ["--threads", str(threads)] if threads else []
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, arguments in models.items():
            done = subprocess.run([*BENCH, *arguments, *common], stdout=subprocess.PIPE, check=True)
            found[name].append(json.loads(done.stdout)["milliseconds"])
    return {name: median(times) for name, times in found.items()}

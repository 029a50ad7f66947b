"""A server in a process of its own, and pictures to send it."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Server:
    """A running `crowdpoint serve`."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def served(*arguments: object, **environment: str) -> Iterator[Server]:
    """Runs `crowdpoint serve ARGUMENTS` on a free port, and ends it."""
    command = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line + process.stderr.read()
        yield Server(found[0], process)
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stderr.close()


def photo(dots: dict[tuple[int, int], int], size: tuple[int, int] = (96, 64), kind: str = "PNG") -> bytes:
    """A black picture with single pixels (x, y) of the given brightness.

    The tiny model finds a point in the middle of a dot's cell of 8 x 8 pixels, scored by its brightness.
    """
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for (x, y), brightness in dots.items():
        pixels[y, x] = brightness
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()

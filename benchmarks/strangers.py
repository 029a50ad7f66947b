"""A server among strangers: does it answer while others attack it, and do two clients share it?

    python benchmarks/strangers.py

Starts `crowdpoint serve` on a free port of this machine, opens at most 400 connections that never send the
whole head of a request, and then has one client send large images, and heat maps of as many points as the
server takes, beside another's small images. Prints a table of how long the answers took meanwhile.
"""

import argparse
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

BOUNDARY = "strangers"
POINTS = 350_000
"""Of a heat map: nearly as many as its request of at most 4 MB holds."""
FILES = 256
"""Files that the server may have open."""


@contextmanager
def run_server(*arguments: str) -> Iterator[tuple[str, int, list[str]]]:
    """Run a server, and yield its host, its port, and the lines of its log."""
    main = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES})); "
    command = [sys.executable, "-c", main + "from crowdpoint.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"FORWARDED_ALLOW_IPS": "127.0.0.1"},
    )
    assert process.stderr is not None
    found = re.search(r"http://(\S+):(\d+)", process.stderr.readline())
    assert found is not None
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr or ()))
    reader.start()
    try:
        yield found[1], int(found[2]), log
    finally:
        process.terminate()
        process.wait()
        reader.join()


def picture(width: int, height: int) -> bytes:
    """Coarse noise as JPEG."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(stream, "JPEG")
    return stream.getvalue()


def ask(url: str, image: bytes, count: int, client: str) -> float:
    """Seconds until the answer to a request with an image `count` times."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'.encode()
    body = (head + image + b"\r\n") * count + f"--{BOUNDARY}--\r\n".encode()
    return _post(f"{url}/v1/predict", body, f"multipart/form-data; boundary={BOUNDARY}", client)


def ask_heatmap(url: str, points: int, client: str) -> float:
    """Seconds until the heat map of a crowd of `points` comes."""
    xy = np.random.default_rng(0).integers(0, 5000, (points, 2)).tolist()
    body = json.dumps({"width": 5000, "height": 5000, "points": xy}, separators=(",", ":")).encode()
    return _post(f"{url}/v1/heatmap", body, "application/json", client)


def _post(url: str, body: bytes, kind: str, client: str) -> float:
    headers = {"Content-Type": kind, "X-Forwarded-For": client}
    start = time.perf_counter()
    with urlopen(Request(url, body, headers), timeout=600) as answer:
        answer.read()
    return time.perf_counter() - start


def health(url: str, seconds: float) -> list[float]:
    """How long each of the answers to `/healthz` took, asked for all the time, at most 1000 times."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until and len(taken) < 1000:
        start = time.perf_counter()
        with urlopen(f"{url}/healthz", timeout=30) as answer:
            answer.read()
        taken.append(time.perf_counter() - start)
        time.sleep(0.05)
    return taken


def attack(host: str, port: int, connections: int) -> list[socket.socket]:
    """Open connections, each of which has sent a part of a head."""
    held = []
    for _ in range(connections):
        one = socket.create_connection((host, port), timeout=10)
        one.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: ")
        held.append(one)
    return held


def meanwhile(heavy: Callable[[], float], small: Callable[[], float]) -> tuple[float, list[float]]:
    """Seconds of a heavy request, and those of at most 100 small ones sent before its answer."""
    taken: list[float] = []
    request = threading.Thread(target=lambda: taken.append(heavy()))
    request.start()
    beside = [small()]
    while request.is_alive() and len(beside) < 100:
        time.sleep(0.1)
        beside.append(small())
    request.join()
    return taken[0], beside


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=400, choices=range(1, 401), metavar="1-400")
    parser.add_argument("--images", type=int, default=8, choices=range(1, 33), metavar="1-32")
    arguments = parser.parse_args()
    with run_server() as (host, port, log):
        url = f"http://{host}:{port}"
        small, large = picture(320, 240), picture(5664, 4248)
        print("| what | seconds, most | how often |\n|---|---|---|")
        before = health(url, 2)
        print(f"| `/healthz`, idle server | {max(before):.3f} | {len(before)} |")
        held = attack(host, port, arguments.connections)
        during = health(url, 10)
        print(f"| `/healthz`, {len(held)} half heads | {max(during):.3f} | {len(during)} |")
        for one in held:
            one.close()
        alone = [ask(url, small, 1, "192.0.2.1") for _ in range(5)]
        print(f"| a small image, alone | {max(alone):.2f} | {len(alone)} |")
        for what, send in (
            (
                f"{arguments.images} images of 24 megapixels",
                lambda: ask(url, large, arguments.images, "192.0.2.2"),
            ),
            (f"a heat map of {POINTS:,} points", lambda: ask_heatmap(url, POINTS, "192.0.2.2")),
        ):
            heavy, beside = meanwhile(send, lambda: ask(url, small, 1, "192.0.2.1"))
            print(f"| a small image, beside {what} | {max(beside):.2f} | {len(beside)} |")
            print(f"| {what}, beside those | {heavy:.1f} | 1 |")
    print(f"\nThe log has {len(log)} lines:", *log, sep="\n")


if __name__ == "__main__":
    main()

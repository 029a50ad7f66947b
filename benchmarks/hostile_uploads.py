"""Damaged requests to a server of its own, for `hostile`."""

import ctypes
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mutations import Random, bytes_of, text_of
from PIL import Image

from crowdpoint.errors import ImageError, ProcessError
from crowdpoint.web.worker import CRASHED

BOUNDARY = "hostile"
QUIET_SECONDS = 0.5
"""How long the server waits for what a damaged request lacks."""

_PARENT_DEATH = 1


class Uploads:
    """A running server, and requests to it.

    Args:
        folder: where each request is written before it is sent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        command = [sys.executable, "-c", "from crowdpoint.cli import main; main()", "serve", "--port", "0"]
        seconds = str(QUIET_SECONDS)
        process = subprocess.Popen(
            [*command, "--workers", "1", "--head-seconds", seconds, "--idle-seconds", seconds],
            stderr=subprocess.PIPE,
            text=True,
            # it ends with this process, also if that is killed
            preexec_fn=lambda: ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGTERM),
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert process.stderr is not None
        found = re.search(r"http://(\S+):(\d+)", process.stderr.readline())
        assert found is not None
        self._address = found[1], int(found[2])

    def make(self, rng: Random) -> tuple[Path, Callable[[Path], object]]:
        """Write a request; return it and the function that sends it."""
        way = int(rng.integers(4))
        asked = _document(rng, way) if rng.integers(4) == 0 else _form(rng, way)
        body = asked.body
        if way == 1:
            body = bytes_of(body, rng, body)
        head = (
            f"POST {asked.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: {asked.type}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        request = (text_of(head, rng) if way == 2 else head) + body
        if way == 3:
            request = bytes_of(request, rng, body)
        path = self._folder / "request"
        path.write_bytes(request)
        return path, self._send

    def pixels(self, _: Path) -> int:
        """No pixels are decoded in this process."""
        return 0

    def _send(self, path: Path) -> object:
        answer = self._ask(path.read_bytes())
        if not answer:  # closed, as it should be where no head came
            answer = self._ask(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if b"200" not in answer[:20]:
                raise ProcessError("the server is gone")
            raise ImageError("closed")
        status = int(answer.split(maxsplit=2)[1])
        _, _, body = answer.partition(b"\r\n\r\n")
        if CRASHED.encode() in body:
            raise ProcessError("a process of the server ended")
        if b'"status":500' in body or status >= 500:
            raise RuntimeError(f"status {status}")
        if status >= 400:
            raise ImageError(str(status))
        return json.loads(body) if b"content-length" in answer.lower() else None

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(self._address, timeout=60) as connection:
            answer = b""
            try:
                connection.sendall(request)
                while part := connection.recv(1 << 16):
                    answer += part
            except ConnectionError:  # a refused body is not read to its end
                pass
            return answer


@dataclass(frozen=True, slots=True)
class _Request:
    """Content of a request."""

    path: str
    type: str
    """Of the body."""
    body: bytes


def _form(rng: Random, way: int) -> _Request:
    """Images to count, the first of them damaged if `way` is 0."""
    content = [_picture(rng) for _ in range(rng.integers(1, 4))]
    if way == 0:
        content[0] = bytes_of(content[0], rng, content[-1])
    body = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="image"; filename="%d.png"\r\n\r\n%s\r\n'
        % (BOUNDARY.encode(), number, data)
        for number, data in enumerate(content)
    )
    body += b"--%s--\r\n" % BOUNDARY.encode()
    return _Request("/v1/predict?threshold=0.5", f"multipart/form-data; boundary={BOUNDARY}", body)


def _document(rng: Random, way: int) -> _Request:
    """Points for a heat map, of which a value, a word or a sign is another if `way` is 0."""
    width, height = (int(10 ** rng.uniform(0, 6)) for _ in range(2))
    points = (rng.random((rng.integers(0, 50), 2)) * (width, height)).round(2).tolist()
    body = json.dumps({"width": width, "height": height, "points": points}).encode()
    return _Request("/v1/heatmap", "application/json", text_of(body, rng) if way == 0 else body)


def _picture(rng: Random) -> bytes:
    stream = io.BytesIO()
    pixels = rng.integers(0, 256, (*rng.integers(1, 40, 2), 3), np.uint8)
    Image.fromarray(pixels).save(stream, ("PNG", "JPEG", "TIFF", "WEBP")[rng.integers(4)])
    return stream.getvalue()

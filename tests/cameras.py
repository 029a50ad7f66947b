"""Cameras that tests serve over HTTP."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import cv2
from drawn_videos import dots
from web_servers import QuietHandler, serving

Serve = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serve_camera(serve: Serve) -> Iterator[str]:
    """Serves a camera that needs a password, and yields its URL."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            serve(self)

        do_POST = do_GET

    with serving(Handler) as host:
        yield f"http://user:secret@{host}/live"


def send_motion_jpeg(handler: BaseHTTPRequestHandler, first: int, count: int) -> None:
    """A camera's stream of JPEGs that breaks off in the middle of one; picture n shows n people."""
    handler.send_response(200)
    handler.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
    handler.end_headers()
    try:
        for number in range(first, first + count):
            jpeg = cv2.imencode(".jpg", dots(number % 20))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            handler.wfile.write(head.encode() + jpeg + b"\r\n")
            time.sleep(0.02)
        handler.wfile.write(head.encode() + jpeg[: len(jpeg) // 2])
    except OSError:
        pass  # the reader has gone

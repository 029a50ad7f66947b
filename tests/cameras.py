"""Cameras that tests serve over HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
from drawn_videos import dots

Serve = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serve_camera(serve: Serve) -> Iterator[str]:
    """Serves a camera that needs a password, and yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serve(self)

        def do_POST(self) -> None:
            serve(self)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://user:secret@127.0.0.1:{server.server_port}/live"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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

"""Images of web servers: what a URL may look like, and what servers answer."""

import base64
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from web_servers import QuietHandler, serving

from crowdpoint.errors import ImageError
from crowdpoint.opening import download, open_image

AUTHORIZATION = f"Basic {base64.b64encode('ann:p@ss é'.encode()).decode()}"


class _Handler(QuietHandler):
    """Serves one picture under every name; some names get an answer that is odd or broken."""

    content = b""

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if path == "/none.png":
            self.send_error(404)
            return
        moved = {"/moved": "/photo.png", "/moved-private": "/private.png"}
        moved["/away"] = self.headers["Host"].replace("127.0.0.1", "http://localhost") + "/private.png"
        if path in moved:
            self.send_response(302)
            self.send_header("Location", moved[path])
            self.end_headers()
            return
        if path == "/private.png" and self.headers["Authorization"] != AUTHORIZATION:
            self.send_error(401 if self.headers["Authorization"] else 403)
            return
        encodings = {
            "/gzip.png": ("gzip", gzip.compress(self.content)),
            "/deflate.png": ("deflate", zlib.compress(self.content)),
            "/cut-gzip.png": ("gzip", gzip.compress(self.content)[:-9]),
            "/not-gzip.png": ("gzip", self.content),
            "/br.png": ("br", self.content),
            "/gzip-br.png": ("gzip, br", self.content),
            "/GZIP.png": (" GZIP", gzip.compress(self.content)),
            "/chunked-gzip.png": ("gzip, aws-chunked", gzip.compress(self.content)),
            **{
                f"/as-it-is-{name}.png": (name, self.content)
                for name in ("aws-chunked", "utf-8", "none", " ", "Identity")
            },
        }
        encoding, body = encodings.get(path, (None, self.content))
        if path == "/page.png":
            body = b"<html>"
        self.send_response(200)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        if path != "/endless.png":
            self.send_header("Content-Length", str(len(body) + (100 if path == "/short.png" else 0)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    path = tmp_path / "served.png"
    Image.fromarray(np.full((4, 6, 3), 7, np.uint8)).save(path)
    monkeypatch.setattr(_Handler, "content", path.read_bytes())
    with serving(_Handler) as host:
        yield f"http://{host}"


@pytest.mark.parametrize(
    "path",
    [
        "photo.png",
        "my%20photo.png",
        "my photo.png",
        "群/é.png",
        "a.png?w=1&h=2%26",
        "moved",
        "endless.png",
        "gzip.png",
        "deflate.png",
        "GZIP.png",
        "chunked-gzip.png",
        "as-it-is-aws-chunked.png",
        "as-it-is-utf-8.png",
        "as-it-is-none.png",
        "as-it-is- .png",
        "as-it-is-Identity.png",
    ],
)
def test_urls_are_fetched(server: str, path: str) -> None:
    with open_image(f"{server}/{path}") as image:
        assert (image.name, image.size) == (f"{server}/{path}", (6, 4))
        np.testing.assert_array_equal(image.thumbnail(9), np.full((4, 6, 3), 7, np.uint8))


@pytest.mark.parametrize("path", ["private.png", "moved-private"])
def test_credentials_of_the_url_are_sent(server: str, path: str) -> None:
    with open_image(server.replace("://", "://ann:p%40ss%20é@") + f"/{path}") as image:
        assert (image.name, image.size) == (server.replace("://", "://***@") + f"/{path}", (6, 4))


@pytest.mark.parametrize(
    ("userinfo", "path", "message"),
    [
        ("ann:wrong", "private.png", "the server responded with 401 Unauthorized"),
        ("ann:p%40ss%20é", "away", "the server responded with 403 Forbidden"),
    ],
)
def test_wrong_credentials_and_those_of_another_host(
    server: str, userinfo: str, path: str, message: str
) -> None:
    """Another host that a redirect names gets none: it answers 403 then."""
    url, shown = (server.replace("://", f"://{user}@") + f"/{path}" for user in (userinfo, "***"))
    with pytest.raises(ImageError) as caught, open_image(url):
        pass
    assert str(caught.value) == f"{shown}: {message}"


@pytest.mark.parametrize(
    ("url", "encoded"),
    [
        ("http://host/a b.png", "http://host/a%20b.png"),
        ("http://host/a%20b.png?q=%2F#x", "http://host/a%20b.png?q=%2F#x"),
        ("https://bücher.example:8080/é", "https://xn--bcher-kva.example:8080/%C3%A9"),
    ],
)
def test_urls_are_encoded_once(url: str, encoded: str) -> None:
    assert download._encode(url) == encoded


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("none.png", "the server responded with 404"),
        ("page.png", "not a JPEG"),
        ("short.png", "the download ended 100 bytes early"),
        ("cut-gzip.png", "the download ended early"),
        ("not-gzip.png", "download failed: Error -3"),
        ("br.png", "unsupported Content-Encoding br; download the file first"),
        ("gzip-br.png", "unsupported Content-Encoding gzip, br; download the file first"),
    ],
)
def test_bad_answers_are_one_line(server: str, page: str, message: str) -> None:
    with pytest.raises(ImageError) as caught, open_image(f"{server}/{page}"):
        pass
    assert str(caught.value).startswith(f"{server}/{page}: {message}")


def test_large_and_slow_downloads_are_aborted(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BYTE_LIMIT", 10)
    for page in ("photo.png", "gzip.png"):
        with pytest.raises(ImageError, match="larger than the limit"), open_image(f"{server}/{page}"):
            pass
    monkeypatch.setattr(download, "DOWNLOAD_TIMEOUT", -1.0)
    monkeypatch.setattr(download, "BYTE_LIMIT", 1 << 20)
    with pytest.raises(ImageError, match="takes too long"), open_image(f"{server}/photo.png"):
        pass


def test_a_decompression_bomb_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BYTE_LIMIT", 1000)
    with pytest.raises(ImageError, match="larger than the limit"):
        download._decompress(gzip.compress(bytes(2000)), "gzip")
    assert download._decompress(gzip.compress(bytes(999)), "gzip") == bytes(999)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.png", "http://", "http://[/a.png", "http://host:x/"])
def test_unreachable_urls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(ImageError, match="download failed"), open_image(url):
        pass

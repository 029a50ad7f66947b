"""Files of web servers, over http and https."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

from crowdpoint.errors import ImageError
from crowdpoint.version import __version__

BYTE_LIMIT = 256 << 20
"""The largest file in bytes, as sent and once decompressed."""

SILENCE_SECONDS = 30.0
"""How long a server may say nothing."""

DOWNLOAD_SECONDS = 120.0
"""How long one download may take."""

_UNRESERVED = "%/:=&?~#+!$,;'@()*[]"  # a URL that is encoded already stays as it is


def download(url: str) -> bytes:
    """Fetch a file; spaces and letters beyond ASCII in the URL are encoded first.

    Raises:
        ImageError: if the server cannot be reached, refuses, sends too much, or breaks off.
    """
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    content = bytearray()
    try:
        request = urllib.request.Request(_encoded(url), headers={"User-Agent": f"crowdpoint/{__version__}"})  # noqa: S310  http(s) alone
        with urllib.request.urlopen(request, timeout=SILENCE_SECONDS) as response:  # noqa: S310  http(s) alone
            while chunk := response.read1(1 << 16):
                content += chunk
                if len(content) > BYTE_LIMIT:
                    raise _too_large()
                if time.monotonic() > deadline:
                    raise TimeoutError("the download takes too long")
            if response.length:  # http.client does not complain about a body that ends early in read1
                raise ImageError(f"the download ended {response.length} bytes early")
            return _decompressed(bytes(content), response.headers.get("Content-Encoding", "identity"))
    except urllib.error.HTTPError as error:
        error.close()
        raise ImageError(f"the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ImageError(f"cannot be fetched: {reason or type(error).__name__}") from error


def _encoded(url: str) -> str:
    """The URL in ASCII: its host by IDNA, everything else percent-encoded."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    return urllib.parse.quote(parts._replace(netloc=host).geturl(), safe=_UNRESERVED)


def _decompressed(content: bytes, encoding: str) -> bytes:
    """Undo the compression of servers that compress although they were not asked to."""
    if encoding == "identity":
        return content
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ImageError(f"the server sends it compressed as {encoding}; download it first")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by the header
    plain = inflater.decompress(content, BYTE_LIMIT)
    if inflater.unconsumed_tail:
        raise _too_large()
    if not inflater.eof:
        raise ImageError("the download ended early")
    return plain


def _too_large() -> ImageError:
    return ImageError(f"larger than the limit of {BYTE_LIMIT >> 20} MB; download it first")

"""Download files over http and https."""

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

from crowdpoint.errors import ImageError
from crowdpoint.redaction import redact
from crowdpoint.version import __version__

BYTE_LIMIT = 256 << 20
"""Limit on the size of a file in bytes, both transferred and decompressed."""

SOCKET_TIMEOUT = 30.0
"""Seconds to wait for a response or for more data."""

DOWNLOAD_TIMEOUT = 120.0
"""Seconds that a download may take in total."""

_GZIP = ("gzip", "x-gzip", "deflate")
_COMPRESSIONS = (*_GZIP, "br", "zstd", "compress", "x-compress", "dcb", "dcz")
"""Content codings that compress; servers send others, such as `utf-8`, with content as it is."""

_UNRESERVED = "%/:=&?~#+!$,;'@()*[]"  # includes %, so that encoded URLs stay unchanged


def download(url: str) -> bytes:
    """Download a file. Encodes spaces and non-ASCII characters in the URL.

    A user and password in the URL are for HTTP basic authentication (RFC 7617).

    Raises:
        ImageError: if the server cannot be reached, responds with an error, sends too much, or disconnects.
    """
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT
    content = bytearray()
    try:
        bare, opener = _take_credentials(url)
        request = urllib.request.Request(_encode(bare), headers={"User-Agent": f"crowdpoint/{__version__}"})  # noqa: S310  http(s) only
        with opener.open(request, timeout=SOCKET_TIMEOUT) as response:
            while chunk := response.read1(1 << 16):
                content += chunk
                if len(content) > BYTE_LIMIT:
                    raise _too_large()
                if time.monotonic() > deadline:
                    raise TimeoutError("the download takes too long")
            if response.length:  # read1 does not report a body that ends early
                raise ImageError(f"the download ended {response.length} bytes early")
            return _decompress(bytes(content), response.headers.get("Content-Encoding", ""))
    except urllib.error.HTTPError as error:
        error.close()
        raise ImageError(f"the server responded with {error.code} {redact(error.reason, url)}") from error
    except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        shown = redact(str(reason), url) or type(error).__name__
        raise ImageError(f"download failed: {shown}") from error


def _take_credentials(url: str) -> tuple[str, urllib.request.OpenerDirector]:
    """Split a URL into the URL without credentials, and an opener that sends them, but to no other host."""
    parts = urllib.parse.urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, urllib.request.build_opener()
    user, _, password = (urllib.parse.unquote(part) for part in userinfo.partition(":"))
    known = urllib.request.HTTPPasswordMgrWithPriorAuth()
    root = _encode(f"{parts.scheme}://{host}")
    known.add_password(None, root, user, password, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(known))
    return parts._replace(netloc=host).geturl(), opener


def _encode(url: str) -> str:
    """Encode a URL in ASCII: the host by IDNA, the rest by percent-encoding."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    return urllib.parse.quote(parts._replace(netloc=host).geturl(), safe=_UNRESERVED)


def _decompress(content: bytes, encoding: str) -> bytes:
    """Decompress the content of servers that compress without being asked."""
    codings = [coding for part in encoding.split(",") if (coding := part.strip().lower()) in _COMPRESSIONS]
    if not codings:
        return content
    if len(codings) > 1 or codings[0] not in _GZIP:
        raise ImageError(f"unsupported Content-Encoding {encoding}; download the file first")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by the header
    plain = inflater.decompress(content, BYTE_LIMIT)
    if inflater.unconsumed_tail:
        raise _too_large()
    if not inflater.eof:
        raise ImageError("the download ended early")
    return plain


def _too_large() -> ImageError:
    return ImageError(f"larger than the limit of {BYTE_LIMIT >> 20} MB; download the file first")

"""Hide secrets in URLs before they reach messages, logs and results."""

import re
import urllib.parse
from collections.abc import Iterator

HIDDEN = "***"

# Each expression takes linear time: what one match attempt reads ends where the next may begin.

_USERINFO = re.compile(r"(?<=://)(?<!\bhf://)([^/?#\s]*|[^/?#@[\s:]*:\d*[^\d/?#@\s](?:(?!://)\S)*)@")
"""User and password of a URL, even if the password contains an unencoded /, ? or #.

In `hf://gpt2@main`, the @ precedes the revision of a model on the Hugging Face Hub."""

_PARAMETER = re.compile(
    r"([?&;#][^?=&;#\s]*"
    r"(?:token|key|sig|signature|secret|pas|pass|password|passwd|psw|pwd|pw|auth|credential|code|jwt)="
    r"|[/_](?:pass|password|passwd|psw|pwd)=)"
    r"([^&;#\s]+?)(?=:?(?:\s|$)|[&;#]|_channel=)",  # a colon behind it belongs to the message
    re.IGNORECASE,
)
"""Query parameter whose name ends in a word for a secret, such as `X-Amz-Signature`.

Some cameras have a password in the path, as in `rtsp://camera/user=admin_password=1234_channel=1`."""

_TOKEN = re.compile(
    r"(?<=/)(?:(?=[^/?#\s]*\d)(?=[^/?#\s]*[A-Za-z])[\w:~+=-]{12,}"
    r"|(?=[^/?#\s]*[a-z])(?=[^/?#\s]*[A-Z])[\w:~+=-]{20,})(?=[/?#\s]|$)"
)
"""Path segment that looks generated: long, or mixing letters and digits, and without an extension."""


def redact(text: str, location: str = "", *, path: bool = False) -> str:
    """Hide user names, passwords and the values of secret query parameters.

    Args:
        text: a location, or a message that contains a URL.
        location: the location that another library's message is about. Its secrets are hidden wherever they
            appear, because such messages quote parts of it.
        path: also hide path segments that look like tokens. They are credentials in webhooks and streams, but
            identify images in stores.

    >>> redact("rtsp://admin:1234@camera/live?token=abc")
    'rtsp://***@camera/live?token=***'
    >>> redact('invalid bucket "admin:1234@photos"', "s3://admin:1234@photos/a.jpg")
    'invalid bucket "***@photos"'
    """
    for secret in sorted(_find_secrets(location, path=path), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    if "://" not in text:
        return text
    shown = _PARAMETER.sub(rf"\1{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", text))
    if not path:
        return shown
    start = shown.index("://") + 3
    return shown[:start] + _TOKEN.sub(HIDDEN, shown[start:])


def _find_secrets(location: str, *, path: bool) -> Iterator[str]:
    """Yield what `redact` hides in a location, as it stands there and decoded."""
    found: set[str] = set()
    for userinfo in _USERINFO.findall(location):
        found |= {userinfo, *userinfo.split(":", 1)}
    found.update(match[2] for match in _PARAMETER.finditer(location))
    if path:
        found.update(_TOKEN.findall(location.partition("://")[2]))
    for secret in found - {"", HIDDEN}:
        yield secret
        yield urllib.parse.unquote(secret)

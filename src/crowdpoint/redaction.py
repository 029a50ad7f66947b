"""Hides the secrets in locations: the one way in which messages, logs and results show a URL."""

import re

HIDDEN = "***"

_USERINFO = re.compile(r"(?<=://)([^/?#\s]*|[^/?#@[\s]*:\d*[^\d/?#@\s][^\s]*)@")
"""User and password of a URL; also of a wrong one, whose password has a / ? or # that is not encoded."""

_PARAMETER = re.compile(
    r"([?&;#][^=&;#\s]*(?:token|key|sig|signature|secret|pass|password|passwd|pwd|auth|credential|code|jwt)=)"
    r"[^&;#\s]+",
    re.IGNORECASE,
)
"""A parameter of a query whose name ends in a word for a secret, such as `X-Amz-Signature`."""

_TOKEN = re.compile(
    r"(?<=/)(?:(?=[^/?#\s]*\d)(?=[^/?#\s]*[A-Za-z])[\w:~+=-]{12,}"
    r"|(?=[^/?#\s]*[a-z])(?=[^/?#\s]*[A-Z])[\w:~+=-]{20,})(?=[/?#\s]|$)"
)
"""A part of a path that no person has chosen: letters and digits mixed, or long, and without an ending."""


def redact(text: str, *, path: bool = False) -> str:
    """Hide users and passwords, and the values of parameters that are called like secrets.

    Args:
        text: a location, or a message with a URL in it; what has no `://` stays as it is.
        path: hide parts of the path that look like tokens, too: in webhooks and streams they let anybody in,
            while in the names of stored images they tell one from another.
    """
    if "://" not in text:
        return text
    shown = _PARAMETER.sub(rf"\1{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", text))
    if not path:
        return shown
    start = shown.index("://") + 3
    return shown[:start] + _TOKEN.sub(HIDDEN, shown[start:])

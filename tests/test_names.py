r"""names: bytes from outside as text that everything holds."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowdpoint.names import escape


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (os.fsdecode(b"caf\xe9.jpg"), "caf%E9.jpg"),
        ("a\x1b[2Jb\n.jpg", "a%1B[2Jb%0A.jpg"),
        ("人群.jpg", "人群.jpg"),
        ("50 % full.jpg", "50 % full.jpg"),
        ("\ud800.jpg", "%D8%00.jpg"),
    ],
)
def test_names_become_text(name: str, text: str) -> None:
    assert escape(name) == text


@given(st.binary(max_size=30))
def test_any_bytes_can_be_stored_and_printed(name: bytes) -> None:
    text = escape(name.decode("utf-8", "surrogateescape"))
    assert text.encode().decode() == text
    assert "\x1b" not in text

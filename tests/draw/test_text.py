"""Text on images: letters of every language that a font of this machine has."""

from unittest import mock

import pytest
from PIL import ImageFont

from crowdpoint.draw import text
from crowdpoint.draw.text import choose_font


@pytest.fixture(autouse=True)
def _forget() -> None:
    choose_font.cache_clear()


def test_ascii_has_the_same_font_everywhere() -> None:
    font, written = choose_font("gate  76  (0.15/m2)", 20)
    assert written == "gate  76  (0.15/m2)"
    assert font.getbbox(written) == ImageFont.load_default(20).getbbox(written)


def test_other_letters_are_written_in_a_font_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = mock.Mock(spec=ImageFont.FreeTypeFont)
    wide.getmask.side_effect = lambda letter: b"" if letter == "\uffff" else b"letter"
    own = ImageFont.load_default(20)
    monkeypatch.setattr(ImageFont, "load_default", lambda _: own)
    monkeypatch.setattr(ImageFont, "truetype", lambda *_: wide)
    assert choose_font("Türe 门", 20) == (wide, "Türe 门")


def test_without_such_a_font_letters_are_simplified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_SYSTEM_FONTS", ("no-such-font.ttf",))
    assert choose_font("Türe Süd, Café 12 m²", 20)[1] == "Ture Sud, Cafe 12 m2"
    assert choose_font("门 5", 20)[1] == "? 5"

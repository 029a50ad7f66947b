"""XML documents: reading and writing them safely, and telling their formats apart."""

import re
from pathlib import Path
from xml.etree import ElementTree  # `root` refuses what is dangerous

from crowdpoint.errors import FormatError
from crowdpoint.formats.text import read_text

Element = ElementTree.Element


def root(path: Path) -> Element:
    """The root element of an XML file.

    A document type is refused: no annotation tool writes one, and only there can entities be declared
    that blow up memory or read other files.

    Raises:
        FormatError: if the file cannot be read, is no XML or declares a document type.
    """
    text = read_text(path)
    if "<!DOCTYPE" in text:
        raise FormatError(f"{path}: expected plain XML, found a document type (<!DOCTYPE ...>); remove it")
    try:
        return ElementTree.fromstring(text)  # noqa: S314  # without a document type there are no entities
    except ElementTree.ParseError as error:
        raise FormatError(f"{path}:{error.position[0]}: not XML: {error}") from error


def root_tag(path: Path) -> str:
    """The tag of the first element, without a look at the rest."""
    found = re.search(r"<([A-Za-z_][\w.-]*)", read_text(path))
    return found[1] if found else ""


def child(parent: Element, tag: str, text: object = None, **attributes: object) -> Element:
    """Adds an element under `parent`.

    Raises:
        ValueError: if a text holds a character that XML does not have.
    """
    for value in (text, *attributes.values()):
        if re.search("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", str(value)):
            raise ValueError(f"{value!r} has a character that XML cannot hold; rename the image")
    element = ElementTree.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    if text is not None:
        element.text = str(text)
    return element


def save(path: Path, element: Element) -> None:
    """Writes `element` as an indented XML file."""
    ElementTree.indent(element)
    ElementTree.ElementTree(element).write(path, encoding="utf-8", xml_declaration=True)
    path.write_bytes(path.read_bytes() + b"\n")

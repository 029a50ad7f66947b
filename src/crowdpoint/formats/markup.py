"""Read and write XML documents safely."""

import re
from pathlib import Path
from xml.etree import ElementTree  # `parse` rejects document types, and with them entity attacks

from crowdpoint.errors import FormatError
from crowdpoint.formats.text import read_text

Element = ElementTree.Element


def parse(path: Path) -> Element:
    """Parse an XML file and return its root element.

    Rejects document types. No annotation tool writes one, and they can declare entities that exhaust memory
    or read other files.
    """
    text = read_text(path)
    if "<!DOCTYPE" in text:
        raise FormatError(f"{path}: expected plain XML, found a document type (<!DOCTYPE ...>); remove it")
    try:
        return ElementTree.fromstring(text)  # noqa: S314  # no document type, so no entities
    except ElementTree.ParseError as error:
        raise FormatError(f"{path}:{error.position[0]}: not XML: {error}") from error


def find_root_tag(path: Path) -> str:
    """Find the tag of the root element without parsing the file."""
    match = re.search(r"<([A-Za-z_][\w.-]*)", read_text(path))
    return match[1] if match else ""


def add_child(parent: Element, tag: str, text: object = None, **attributes: object) -> Element:
    """Add an element under `parent`."""
    for value in (text, *attributes.values()):
        if re.search("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", str(value)):
            raise ValueError(f"{value!r} contains a character that XML does not allow; rename the image")
    element = ElementTree.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    if text is not None:
        element.text = str(text)
    return element


def save(path: Path, element: Element) -> None:
    """Write `element` as an indented XML file."""
    ElementTree.indent(element)
    ElementTree.ElementTree(element).write(path, encoding="utf-8", xml_declaration=True)
    path.write_bytes(path.read_bytes() + b"\n")

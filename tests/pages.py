"""The written pages: their code blocks, the commands in them, and their links."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

_CODE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks in a language."""
    return [code for found, code in _CODE.findall(page.read_text(encoding="utf-8")) if found == language]


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return _CODE.sub("", page.read_text(encoding="utf-8"))


def steps(page: Path) -> list[str]:
    """Every command of the page's code blocks."""
    lines = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    return [step.strip() for line in lines for step in line.split(" && ")]


def commands(page: Path) -> list[str]:
    """The `crowdpoint` commands of the page's code blocks and tables, which are complete."""
    started = [re.search(r"(?:^|--no-python )(crowdpoint .+?)(?: [>|] .*)?$", step) for step in steps(page)]
    in_blocks = [match[1] for match in started if match]
    in_tables = re.findall(r"^\|.*\| `(crowdpoint [^`]+)` \|$", prose(page), re.MULTILINE)
    return list(dict.fromkeys(in_blocks + in_tables))


def mentions(page: Path) -> list[str]:
    """The `crowdpoint` commands in the page's text, which may be abridged."""
    return re.findall(r"`(crowdpoint \w+[^`]*)`", prose(page))


def links(page: Path) -> list[str]:
    """Where the page's links lead, but for other sites."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in found if not link.startswith(("http://", "https://"))]


def anchors(page: Path) -> list[str]:
    """What a link to a heading of the page has after its `#`."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings]

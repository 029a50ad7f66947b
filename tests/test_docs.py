"""Every page: its commands and links, and its place on the documentation's site, which loads nothing."""

import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import draw_crowd
import pytest
import site_hooks
import typer.main
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files, get_files
from pages import DOCS, PAGES, README, ROOT, anchors, blocks, commands, links, mentions
from typer.exceptions import TyperException

from crowdpoint import cli
from crowdpoint.config import load_recipe
from crowdpoint.errors import ConfigError


def _on_every_page(find: Callable[[Path], list[str]]) -> list[object]:
    return [
        pytest.param(page, found, id=f"{page.relative_to(ROOT)}: {found}")
        for page in PAGES
        for found in find(page)
    ]


def _services(page: Path) -> list[str]:
    """The `crowdpoint` commands of the page's systemd units."""
    return re.findall(r"^ExecStart=\S*/(crowdpoint .*)$", "".join(blocks(page, "ini")), re.MULTILINE)


@pytest.mark.parametrize(("page", "command"), _on_every_page(commands) + _on_every_page(_services))
def test_commands_are_complete(page: Path, command: str) -> None:
    missing = [name for name, required in _parse_outputs(command).items() if required is None]
    assert missing == []


@pytest.mark.parametrize(("page", "command"), _on_every_page(mentions))
def test_commands_in_the_text_exist(page: Path, command: str) -> None:
    _parse_outputs(command)


def _parse_outputs(command: str) -> dict[str, bool | None]:
    """The parameters by name: whether the command gives them, None if it must and does not.

    Raises:
        TyperException: if the subcommand has no such option.
    """
    _, name, *words = shlex.split(command)
    assert name in cli.COMMANDS, f"there is no `crowdpoint {name}`"
    subcommand = cli.load_command(name)
    given, beyond, _ = subcommand.make_parser(typer.Context(subcommand)).parse_args(words)
    assert beyond == []
    return {
        str(parameter.name): bool(given.get(str(parameter.name))) or (None if parameter.required else False)
        for parameter in subcommand.params
    }


def _overriding(page: Path) -> list[str]:
    """The page's `crowdpoint train` commands that change a recipe."""
    found = dict.fromkeys(commands(page) + mentions(page))
    return [command for command in found if re.match(r"crowdpoint train .*\s--set\s", command, re.DOTALL)]


@pytest.mark.parametrize(("page", "command"), _on_every_page(_overriding))
def test_overrides_fit_their_recipe(page: Path, command: str) -> None:
    _override(command)


def _override(command: str) -> None:
    _, _, recipe, *words = shlex.split(command)
    load_recipe(recipe, [value for option, value in pairwise(words) if option == "--set"])


def test_an_override_that_does_not_exist_is_found() -> None:
    with pytest.raises(ConfigError, match=r"run\.stepps"):
        _override("crowdpoint train p2pnet-lite --data x --set run.stepps=1 --out y")


@pytest.mark.parametrize("command", ["crowdpoint predict photo.jpg --outt x", "crowdpoint predict --sav"])
def test_an_option_that_does_not_exist_is_found(command: str) -> None:
    with pytest.raises(TyperException):
        _parse_outputs(command)


def test_an_argument_that_is_missing_is_found() -> None:
    assert _parse_outputs("crowdpoint predict --json")["sources"] is None


@pytest.mark.parametrize(("page", "link"), _on_every_page(links))
def test_links_lead_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.is_file()
    if anchor:
        assert anchor in anchors(target)
    if page.is_relative_to(DOCS):
        assert target.is_relative_to(DOCS), "the site has nothing outside docs/"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with every picture that the pages' programs name."""
    picture, _ = draw_crowd.draw(240, 160, people=30)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photos/1.jpg", "photos/2.jpg"):
        assert cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["quickstart.md", "photos.md"])
def test_programs_run(name: str, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for program in blocks(DOCS / name, "python"):
        exec(program, {})
    written = [path.name for path in photos.glob("*.csv")]
    assert capsys.readouterr().out or written == ["points.csv"]


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [README]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        linked = [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if link[0] != "#"]
        ahead += [path for path in linked if path.suffix == ".md" and path not in seen]
    assert [page for page in PAGES if page not in seen] == []


@pytest.fixture(scope="module")
def site() -> MkDocsConfig:
    return load_config(str(ROOT / "mkdocs.yml"))


def _targets(nav: object) -> Iterator[str]:
    """The pages of a part of the navigation: a page, a list of parts, or parts by title."""
    if isinstance(nav, str):
        yield nav
    else:
        assert isinstance(nav, list | dict)
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _targets(part)


def test_the_navigation_has_every_page(site: MkDocsConfig) -> None:
    pages = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    assert sorted(_targets(site.nav)) == sorted([*pages, "changelog.md"])


def test_the_changelog_is_a_page_with_links_as_from_docs(site: MkDocsConfig) -> None:
    files = site.plugins.on_files(Files([]), config=site)
    page = files.get_file_from_path("changelog.md")
    assert page
    assert page.content_string.startswith("# Changelog")
    inside = re.findall(r"\]\(([\w/-]+\.md)", page.content_string)
    assert inside
    known = get_files(site).src_uris
    assert [link for link in inside if link not in known] == []


@pytest.mark.parametrize(
    "tag",
    ['<script src="https://example.org/a.js">', "<link rel=stylesheet href=//example.org/a.css>"],
)
def test_a_page_that_loads_something_from_elsewhere_is_refused(tag: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))
    with pytest.raises(PluginError, match=r"index\.md: loads .*example\.org"):
        site_hooks.on_post_page(f"<head>{tag}</head>", page)
    harmless = '<a href="https://example.org">elsewhere</a><script src="assets/a.js"></script>'
    assert site_hooks.on_post_page(harmless, page) == harmless


@pytest.mark.parametrize(
    ("word", "page"),
    [("excel", "photos"), ("spreadsheet", "photos"), ("tracking", "video"), ("jupyter", "integrations")],
)
def test_the_words_that_users_search_for_lead_to_a_page(word: str, page: str) -> None:
    assert re.search(rf"\b{word}\b", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.IGNORECASE)

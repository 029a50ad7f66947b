"""What the documentation's site needs beyond its pages; mkdocs.yml names this file under `hooks`.

The changelog and the icon have their one home outside docs/. No page may load anything from elsewhere.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
ICON = ROOT / "src" / "crowdpoint" / "web" / "page" / "icon.svg"
FOREIGN = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
)
"""A tag that loads something, and an address outside the site in it; links that are followed are none."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the changelog as a page, with links as from docs/, and the icon."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "changelog.md", content=changelog))
    files.append(File.generated(config, "assets/icon.svg", abs_src_path=str(ICON)))
    return files


def on_post_page(output: str, page: Any, **_: object) -> str:
    """Refuses a page that would load something from elsewhere.

    Raises:
        PluginError: with the page and the first such address.
    """
    if found := FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri}: loads {found[1]}; the site must work without a network")
    return output

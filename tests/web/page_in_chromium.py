"""A plugin of pytest for the page's tests: a server, and its page in a headless Chromium."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from browsing import wait_until_ready
from draw_page import CHROMIUM
from playwright.sync_api import Browser, Page, sync_playwright
from serving import served
from tiny_models import INFO, write_tiny

from crowdpoint.recipe import IntervalConfig


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    tiny = write_tiny(folder / "tiny.onnx")
    changes: dict[str, dict[str, object]] = {
        "strict": {"threshold": 0.9},
        "lax": {"threshold": 0.01},
        "calibrated": {"interval": IntervalConfig(below=0.5, above=2)},
    }
    others = [
        write_tiny(
            folder / f"{name}.onnx",
            replace(INFO, name=name, config=INFO.config.model_copy(update=change)).metadata(),
        )
        for name, change in changes.items()
    ]
    models = [word for model in (tiny, *others) for word in ("--model", model)]
    with served(*models, "--max-pixels", "200000") as server:
        yield server.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium, or CROWDPOINT_CHROMIUM with its path: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    faults: list[object] = []
    page.on("pageerror", lambda fault: faults.append(fault))
    page.goto(url)
    wait_until_ready(page)
    yield page
    context.close()
    assert faults == []

"""Opens a page in headless Chromium and asks it things through the DevTools pipe, without a server."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from draw_page import CHROMIUM

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, or CROWDPOINT_CHROMIUM with its path: apt-get install chromium"
)


class Chromium:
    """A browser with one page. Messages are JSON, each ended by a zero byte, on two pipes."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The browser reads messages from descriptor 3 and writes them to 4.
        command = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@" 2>{profile}.log'
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options += ["--remote-debugging-pipe", f"--user-data-dir={profile}", "--hide-scrollbars"]
        self._process = subprocess.Popen(
            ["bash", "-c", command, "bash", CHROMIUM, *options, "about:blank"],
            pass_fds=(to_browser, from_browser),
        )
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._left = 0, b""
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": found["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._write)  # the browser ends with its pipe
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Sends a command and waits for its answer; what happens meanwhile goes to `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            self.events.append(answer)
        raise AssertionError("the browser ended")

    def open(self, page: Path, width: int) -> None:
        """Shows a file on a screen `width` pixels wide, a phone's if that is narrow."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(next(self._messages()))

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"]["value"]

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF", preferCSSPageSize=True)["data"])

    def requests(self) -> list[str]:
        """What was asked of the network or the disk since the page was opened, but for data URLs."""
        urls = [
            e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Errors that the browser logged since the page was opened."""
        return [
            json.dumps(e["params"])
            for e in self.events
            if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")
        ]

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._left:
                part = os.read(self._read, 1 << 20)
                if not part:
                    return
                self._left += part
            message, _, self._left = self._left.partition(b"\0")
            yield json.loads(message)


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """A browser whose profile is in `folder`."""
    with Chromium(folder / "profile") as browser:
        yield browser

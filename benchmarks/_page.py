"""What looks at the page in a browser share, here and in the tests: a page of a home, a browser.

The browser is the system's chromium, driven by playwright (extra `e2e`); none is downloaded.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
END_S = 20.0


class Site:
    """A page that is served."""

    def __init__(self, home: Path, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self.port = int(url.rpartition(":")[2].rstrip("/"))
        self.token = (home / "run" / f"web-{self.port}.token").read_text()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        """Ask as a program does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=END_S)
        headers = {"Authorization": f"Bearer {self.token}", "X-Zactor": "1"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text else None

    def link(self, path: str = "") -> str:
        """Return a link that logs in, to a page of the site."""
        _, found = self.ask("POST", "/api/v1/link", {})
        assert isinstance(found, dict)
        return f"{self.url}{path}#key={found['key']}"


@contextlib.contextmanager
def served(home: Path, *options: str) -> Iterator[Site]:
    """Run `zactor web` for the cluster of a home."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "zactor", "web", "--bind", f"127.0.0.1:{port}", *options]
    page = subprocess.Popen(
        [*words, "--home", home], stdout=subprocess.PIPE, text=True, process_group=0
    )
    try:
        assert page.stdout is not None
        printed = page.stdout.readline().strip()
        assert printed.startswith(f"http://127.0.0.1:{port}/#key="), printed
        yield Site(home, printed.partition("#")[0], page.pid)
        page.terminate()
        assert page.wait(END_S) == 0
    finally:
        page.kill()
        page.communicate()


@contextlib.contextmanager
def opened_browsers(count: int) -> Iterator[list[Browser]]:
    """Run browsers without windows, each a process of its own."""
    from playwright.sync_api import sync_playwright

    # They keep a socket among their temporary files, whose path is limited.
    short = tempfile.TemporaryDirectory(dir="/tmp", prefix="zactor-")
    with short as temp, sync_playwright() as playwright:
        browsers = [
            playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=["--no-sandbox", "--enable-precise-memory-info"],
                env={**os.environ, "TMPDIR": temp},
            )
            for _ in range(count)
        ]
        yield browsers
        for browser in browsers:
            browser.close()


@contextlib.contextmanager
def opened_browser() -> Iterator[Browser]:
    """Run one."""
    with opened_browsers(1) as browsers:
        yield browsers[0]


def opened_page(browser: Browser, site: Site, path: str = "") -> Page:
    """Return a page of a browser of its own that has logged in and shows the network."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(END_S * 1000)
    page.goto(site.link(path))
    page.wait_for_function("() => document.querySelectorAll('[data-card], .tile').length > 0")
    return page

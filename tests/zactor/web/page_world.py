"""Pages of real nodes in a real browser: where one can't be had, the tests are skipped."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S

from zactor import BlockingCluster

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

import _page

if _page.CHROMIUM is None:
    pytest.skip("there is no chromium here", allow_module_level=True)
pytest.importorskip("playwright.sync_api", reason="the extra zactor[e2e] isn't installed")
pytest.importorskip("starlette", reason="the extra zactor[web] isn't installed")

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
)

expect.set_options(timeout=DEADLINE_S * 1000)


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


class Site(_page.Site):
    """A network with its page."""

    def __init__(self, cluster: BlockingCluster, page: _page.Site) -> None:
        super().__init__(cluster.home, page.url, page.pid)
        self.cluster = cluster


@contextlib.contextmanager
def served(cluster: BlockingCluster, *options: str) -> Iterator[Site]:
    """Run `zactor web` for a cluster."""
    with _page.served(cluster.home, *options) as page:
        yield Site(cluster, page)


@contextlib.contextmanager
def window(
    browser: Browser,
    site: Site,
    width: int = 1280,
    height: int = 800,
    *,
    refused: int = 0,
    shows: str = "[data-card]",
) -> Iterator[tuple[Page, BrowserContext]]:
    """A browser of its own that has logged in; nothing goes wrong in it, and nothing elsewhere.

    Args:
        refused: a status that a request may be answered with.
        shows: what is seen of the network.
    """
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(DEADLINE_S * 1000)
    wrong: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        is_refusal = refused and f"the server responded with a status of {refused} " in message.text
        if message.type in ("error", "warning") and not is_refusal:
            wrong.append(message.text)

    def see(request: Request) -> None:
        if not request.url.startswith((site.url, "data:")):
            wrong.append(request.url)

    context.on("console", hear)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("request", see)
    page = context.new_page()
    page.goto(site.link())
    page.wait_for_selector(shows)
    try:
        yield page, context
    finally:
        context.close()
    assert not wrong

"""A browser for the stories of a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from _page import opened_browser  # a file that asks for it has found that it can be had

    with opened_browser() as browser:
        yield browser

"""`pytest tests/scripts --rewrite-scripts` writes the traces anew; look at the difference."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-scripts", action="store_true", help="write the traces anew")

"""Doors of real sockets for clients, closed after the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from client_world import Doors


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    made = Doors(tmp_path / "home")
    yield made
    for each in reversed(made.open):
        each.close()
    assert "zactor-client" not in {thread.name for thread in threading.enumerate()}

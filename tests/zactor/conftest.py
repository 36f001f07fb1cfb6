"""Makes the worlds of this folder importable for the tests beside it; closes the doors of one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from client_world import Doors


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    made = Doors(tmp_path / "home")
    yield made
    for each in reversed(made.open):
        each.close()
    assert "zactor-client" not in {thread.name for thread in threading.enumerate()}

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from zactor.lab.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()

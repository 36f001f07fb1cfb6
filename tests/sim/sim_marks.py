"""Of many runs that differ by their seed, a few are fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def slow_after(count: int, values: Iterable[int]) -> list[Any]:
    """Parameters for a test: all of `values`, those after the first `count` marked as slow."""
    return [
        pytest.param(value, marks=pytest.mark.slow if number >= count else ())
        for number, value in enumerate(values)
    ]

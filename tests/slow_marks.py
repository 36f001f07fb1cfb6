"""Of many runs that are alike, a few are fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def slow_after(count: int, values: Iterable[Any]) -> list[Any]:
    """Parameters for a test: all of `values`, those after the first `count` marked as slow."""
    return [
        pytest.param(value, marks=pytest.mark.slow if number >= count else ())
        for number, value in enumerate(values)
    ]


def all_slow_but(fast: set[str], names: Iterable[str]) -> list[Any]:
    """Parameters for a test: `names` in order, those that aren't in `fast` marked as slow."""
    found = sorted(names)
    assert fast <= set(found)
    return [pytest.param(name, marks=() if name in fast else pytest.mark.slow) for name in found]

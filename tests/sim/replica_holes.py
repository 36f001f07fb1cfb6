"""Runs in which today's replica breaks a promise: for each known hole, the seed that found it."""

from __future__ import annotations

HOLES: dict[str, tuple[int, str]] = {}
"""What goes wrong: the first seed that shows it, and the invariant that breaks."""

FAILING = frozenset({39, 99, 205, 223, 241, 273, 281})
"""All seeds below 300 that fail."""

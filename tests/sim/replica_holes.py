"""Runs in which a replica of before broke a promise: the first of each hole, as found."""

from __future__ import annotations

HOLES: dict[str, tuple[int, str]] = {
    "what an older epoch ordered is decided too early, and lost": (
        48,
        "K2 nothing acknowledged is lost",
    ),
    "who has lost its disk completes a majority": (45, "K3 one primary"),
    "the number of an attempt that was struck out is used again": (
        85,
        "K11 an epoch names one attempt",
    ),
    "who has taken over a history founds a cluster with it": (308, "P8 histories never mix"),
    "who has applied more than the proposer goes back for a moment": (
        281,
        "K10 nothing applied is undone",
    ),
}
"""What goes wrong: the first seed from 0 on that shows it, and the invariant that breaks."""

"""Coverage of tables and rules: what runs have exercised, and what none of them has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

Tables = Mapping[str, Mapping[str, str]]
"""By title: what can be exercised, each with words that say more than its name, or with ""."""


class Coverage:
    """Counts of what is in some tables, over any number of runs."""

    def __init__(self, tables: Tables) -> None:
        """Nothing has been exercised yet. Args: no two `tables` share a key."""
        self.tables = tables
        self.counts: Counter[str] = Counter()
        self._known = {key for rows in tables.values() for key in rows}

    def hit(self, key: str, times: int = 1) -> None:
        """It was exercised, so many times."""
        assert key in self._known, key
        self.counts[key] += times

    def never(self) -> list[str]:
        """Return what no run has exercised, in the order of the tables."""
        return [key for rows in self.tables.values() for key in rows if not self.counts[key]]


def told(*coverages: Coverage) -> list[str]:
    """Return lines for people: how often each was exercised, and what never was."""
    lines = []
    for coverage in coverages:
        for title, rows in coverage.tables.items():
            lines.append(f"{title}:")
            for key, words in rows.items():
                count = coverage.counts[key]
                mark = "" if count else "   <- never"
                lines.append(f"{count:10}  {key}{f' ({words})' if words else ''}{mark}")
    never = [key for coverage in coverages for key in coverage.never()]
    lines.append(f"never exercised: {', '.join(never) or 'none'}")
    return lines

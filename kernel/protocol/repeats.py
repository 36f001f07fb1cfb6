"""Which UNRELIABLE messages came before: their way may repeat and reorder them."""

from __future__ import annotations


class Repeats:
    """Numbers of one sender; what is older than the memory counts as seen."""

    __slots__ = ("_highest", "_kept", "_seen")

    def __init__(self, kept: int) -> None:
        """Args: `kept` numbers below the highest are remembered."""
        self._kept = kept
        self._highest = 0
        self._seen: set[int] = set()

    def is_new(self, number: int) -> bool:
        """True the first time; remembers."""
        if number in self._seen or number <= self._highest - self._kept:
            return False
        self._seen.add(number)
        if number > self._highest:
            self._highest = number
            if len(self._seen) > 2 * self._kept:
                self._seen = {kept for kept in self._seen if kept > number - self._kept}
        return True

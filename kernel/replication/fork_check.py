"""Whether what the members of a view have applied is one history."""

from __future__ import annotations

from zactor.kernel.ids import Clock
from zactor.kernel.replication.log import NO_DIGEST, History


class ForkCheck:
    """Who was seen in one view with a beginning of our history, and who with another one.

    What was applied was decided (I5), so two histories of which none begins the other are a fork:
    somebody's disk is an old copy, or there is a bug. Neither may replace the other.
    """

    def __init__(self, me: str) -> None:
        self._me = me
        self._agreeing: set[str] = set()
        self._contrary: set[str] = set()

    @property
    def must_stop(self) -> bool:
        """Whether more are against our history than with it; in doubt both stand still."""
        return len(self._contrary) > len(self._agreeing) + 1

    @property
    def contrary(self) -> tuple[str, ...]:
        """Who has another history."""
        return tuple(sorted(self._contrary))

    def reason(self) -> str:
        """Return why those who see each other now can't go on together, "" if they can."""
        if not self._contrary:
            return ""
        names = ", ".join(self.contrary)
        return (
            f"{self._me} has another history than {names}: changes wait for more members; if there"
            " are no more, stop those that are wrong and move their state folders away"
        )

    def is_contrary(self, name: str) -> bool:
        """Whether what `name` has is another history."""
        return name in self._contrary

    def compare(
        self, name: str, clock: Clock, digest: bytes, history: History, *, asks: bool = False
    ) -> str:
        """`name` has applied so much; return what is wrong with that, "" if nothing new is.

        Args:
            asks: it wants ours, which is said to be the newest: so it has nothing beyond.
        """
        agrees = history.agrees(clock, digest) if name != self._me else None
        if agrees is None and asks and clock > history.clock:
            agrees = False
        if agrees and digest != NO_DIGEST:  # who has nothing is with everybody
            self._agreeing.add(name)
        if agrees or agrees is None:
            return ""
        return self._see(name, f"{name} has another history than {self._me} at {clock}")

    def told(self, name: str) -> str:
        """`name` says that our history is another than its own; return what is wrong, as above."""
        return self._see(name, f"the history of {self._me} is another than that of {name}")

    def _see(self, name: str, words: str) -> str:
        is_new = name not in self._contrary
        self._contrary.add(name)
        self._agreeing.discard(name)
        return words if is_new else ""

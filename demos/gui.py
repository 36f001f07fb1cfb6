"""Gui: `updateVal(n)` shows n, a press of its button sends `inc`.

It shows n as a line in the terminal of its node. Its button is `zactor signal g1 inc`, from
outside, or its action `press`.
"""

from __future__ import annotations

from zactor import Actor, action, signal


class Gui(Actor):
    """Shows a number and has a button."""

    inc = signal()

    def __init__(self) -> None:
        """Nothing is shown at first."""
        self.number: int | None = None

    @action
    def updateVal(self, n: int) -> None:
        """Show `n`."""
        self.number = n
        print(f"{self.name} | {n}", flush=True)

    @action
    def press(self) -> None:
        """Press the button."""
        self.inc.emit()

    @action
    def shown(self) -> int | None:
        """Return the number that is shown, None before the first."""
        return self.number

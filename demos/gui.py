"""Gui: `updateVal(n)` shows n, a press of its button sends `inc`.

It shows n as a line in the terminal of its node, and on its panel: `zactor panel g1`, or the page
of `zactor web`, where its button is too. From a shell that is `zactor signal g1 inc`.
"""

from __future__ import annotations

from zactor import Actor, Button, Number, Panel, action, signal


class Gui(Actor):
    """Shows a number and has a button."""

    inc = signal()
    panel = Panel(Number("number"), Button("inc"))

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

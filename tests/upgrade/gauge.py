"""An actor class that comes to nodes in the bundle of a file."""

from zactor import Actor, action


class Gauge(Actor):
    """Shows the last value that a counter sent."""

    def __init__(self, unit: str = "") -> None:
        self.unit = unit
        self.value = -1

    @action
    def updateVal(self, value: int) -> None:
        self.value = value

    @action
    def told(self) -> list[object]:
        return [self.unit, self.value]

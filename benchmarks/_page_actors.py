"""The actors of the rows about the page."""

from zactor import Actor, Button, Number, Panel, action, signal


class Beat(Actor):
    """Emits `beat` so often in a second."""

    beat = signal(int)

    def __init__(self, rate: float = 0.0) -> None:
        self.rate = rate
        self.count = 0

    def on_start(self) -> None:
        if self.rate:
            self.every(1 / self.rate, self.go)

    def go(self) -> None:
        self.count += 1
        self.beat.emit(self.count)


class Ear(Actor):
    """Hears, and shows how many."""

    panel = Panel(Number("heard"), Button("forget"))

    def __init__(self) -> None:
        self.heard = 0

    @action
    def beat(self, number: int) -> None:
        self.heard += 1

    @action
    def forget(self) -> None:
        self.heard = 0


class Firehose(Actor):
    """Emits `rate` signals in a second, in bursts of a hundredth."""

    beat = signal(int)

    def __init__(self) -> None:
        self.rate = 0

    def on_start(self) -> None:
        self.every(0.01, self.go)

    @action
    def run(self, rate: int) -> None:
        self.rate = rate

    def go(self) -> None:
        for number in range(self.rate // 100):
            self.beat.emit(number)

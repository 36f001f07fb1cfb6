"""Meanwhile: what a wire does with signals while its reactor is away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError
from zactor.kernel.messages.service import Service

_HOLD = re.compile(r"hold(?:[ :(](\d{1,9})\)?)?")


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """How many signals wait for its reactor; the text of a wire that has none is "drop"."""

    most: int
    blocks: bool = False  # its emitter handles nothing until the reactor is back

    def __str__(self) -> str:
        """Return how it is written: "hold 1000", "block"."""
        return "block" if self.blocks else f"hold {self.most}"

    @classmethod
    def parse(cls, text: str) -> Meanwhile | None:
        """Return what "hold 1000", "hold:1000", "block" or "drop" say; None: drop, as does "".

        Raises:
            ConfigError: it says nothing of the kind.
        """
        said = text.strip().lower()
        if said in ("", "drop"):
            return None
        if said == "block":
            return cls(limits.HOLD_SIGNALS_BLOCKED, blocks=True)
        found = _HOLD.fullmatch(said)
        most = limits.HOLD_SIGNALS_DEFAULT if found is None or not found[1] else int(found[1])
        if found is None or not 0 < most <= limits.HOLD_SIGNALS_MAX:
            raise ConfigError(
                f"{text!r} says nothing of signals meanwhile: want drop, block, or hold:N with N"
                f" from 1 to {limits.HOLD_SIGNALS_MAX}"
            )
        return cls(most)

    def check(self, service: Service) -> None:
        """Raise ConfigError where signals of that service can't wait.

        What goes in group order has its place among all others at once: later it has another.
        """
        if service > Service.FIFO:
            raise ConfigError(
                f"a wire with service {service.value} can't {str(self).partition(' ')[0]}: its"
                " signals have a place in the order of the group; take fifo, or drop"
            )


Holding = Mapping[tuple[str, str], Meanwhile]
"""Wires of one signal that hold: by reactor and what it does."""

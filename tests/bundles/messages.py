"""Sources of messages, and of actors that send them."""

from __future__ import annotations

MESSAGES = """
import dataclasses, enum, typing
from units import Unit

class Level(enum.Enum):
    LOW = 1
    HIGH = 2

class Flags(enum.Flag):
    A = 1
    B = 2

@dataclasses.dataclass(frozen=True)
class Reading:
    value: float
    level: Level = Level.LOW
    unit: Unit = Unit("V")

    class Extra:
        pass

class Pair(typing.NamedTuple):
    a: int

class Oops(Exception):
    pass
"""
UNITS = "class Unit(str): pass\n"
ACTOR = "from zactor import Actor\n"


def kind(name: str, body: str) -> str:
    lines = "\n        ".join(body.splitlines())
    return f"{ACTOR}IMPORTS\nclass {name}(Actor):\n    def step(self, r=None):\n        {lines}\n"

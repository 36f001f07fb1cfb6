"""The sources that test_code_people_write.py deploys, as files of a project."""

from __future__ import annotations

MESSAGES = """
import dataclasses
import enum


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass(frozen=True)
class Reading:
    value: float
    level: Level = Level.LOW


class Oops(Exception):
    pass
"""

SENSOR = """
from zactor import Actor, action, signal
from messages import Level, Oops, Reading


class Sensor(Actor):
    def __init__(self, data=b""):
        self.data = data

    got = signal(Reading)

    @action
    def fire(self):
        self.got.emit(Reading(1.0, Level.HIGH))

    @action
    async def spread(self):
        self.join("readings")
        await self.multicast("readings", Reading(1.0, Level.HIGH))

    @action
    def read(self):
        return Reading(1.0, Level.HIGH)

    @action
    def same(self, r):
        return [isinstance(r, Reading), r == Reading(1.0, Level.HIGH), r.level is Level.HIGH]

    @action
    def fails(self, r):
        if not isinstance(r, Reading):
            raise TypeError("no reading")
        return True

    @action
    def itself(self):
        return self

    @action
    def its_method(self):
        return [self.read]

    @action
    def its_closure(self):
        return lambda: self

    @action
    def size(self, data=None):
        return len(self.data if data is None else data)

    @action
    def big(self, count):
        return bytes(count)
"""

APART = """
from sensor import Sensor


class Apart(Sensor, dispatcher="process"):
    pass
"""

DISPLAY = """
from zactor import Actor, action
import messages


class Display(Actor):
    def __init__(self):
        self.seen = []

    def on_start(self):
        self.join("readings")

    def on_message(self, message):
        self.got(message.value)

    @action
    def got(self, r):
        match r:
            case messages.Reading(value=1.0, level=messages.Level.HIGH):
                self.seen.append({messages.Reading(1.0, messages.Level.HIGH): True}[r])
            case _:
                self.seen.append(repr(type(r)))

    @action
    def last(self):
        return self.seen

    @action
    async def pull(self, who):
        self.got(await self.ref(who).read())
"""

PROGRAM = """
import dataclasses
import functools
import sys

import messages
from zactor import Actor, action, connect


@dataclasses.dataclass
class Own:
    n: int


class Maker(Actor):
    @functools.singledispatchmethod
    def kind(self, v):
        return "any"

    @kind.register
    def _(self, v: int):
        return "int"

    @functools.cached_property
    def cached(self):
        return 5

    @functools.lru_cache
    def remembered(self, n):
        return n + 1

    @action
    def go(self):
        return self.kind(1), self.kind("a"), self.cached, self.remembered(1)

    @action
    def own(self, given):
        return isinstance(given, Own), Own(given.n + 1)

    @action
    def reading(self, given):
        return isinstance(given, messages.Reading), messages.Reading(2.0)


if __name__ == "__main__":
    with connect(home=sys.argv[1]) as m:
        r = m.ref("s").read()
        print(type(r) is messages.Reading, r.level is messages.Level.HIGH)
        print(m.ref("s").same(messages.Reading(1.0, messages.Level.HIGH)))
        maker = m.deploy_actor(Maker, "maker", "n2")
        print(maker.go())
        given, back = maker.own(Own(1))
        print(given, back == Own(2))
        given, back = maker.reading(messages.Reading(1.0))
        print(given, back == messages.Reading(2.0))
"""

"""Faults that stand in a lab, and the lines that bring and heal them.

Pure. A line is what the shell, a story and the siege say alike; the warden makes it true.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from zactor.kernel.errors import ConfigError, NoSuchThing

DELAY_MS_MAX = 60_000.0
RATE_KBIT_MAX = 10_000_000.0
CLOCK_S_MAX = 10 * 365 * 86_400.0
CABLE_MTU = 1_500  # bytes of a packet
MTU_MIN = 576  # each host must take that much

Pair = tuple[str, str]  # frames from the first host to the second


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkQuality:
    """What becomes of frames from one host to another."""

    loss: float = 0.0  # parts of 1, as all of these
    duplicate: float = 0.0
    reorder: float = 0.0  # so many are kept back until others have overtaken them
    delay_ms: float = 0.0
    jitter_ms: float = 0.0  # up to so much more, evenly
    rate_kbit: float = 0.0  # each second; 0: no limit


PERFECT = LinkQuality()


@dataclass(slots=True)
class Faults:
    """What is wrong at the moment."""

    hosts: tuple[str, ...]
    unplugged: set[str] = field(default_factory=set)
    blocked: set[Pair] = field(default_factory=set)
    quality: dict[Pair, LinkQuality] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    clock_s: dict[str, float] = field(default_factory=dict)
    mtu: dict[str, int] = field(default_factory=dict)  # bytes of a packet, where it isn't a cable's

    def reaches(self, one: str, other: str) -> bool:
        """Whether what `one` sends comes to `other`, some of it at least."""
        if one in self.unplugged or other in self.unplugged or (one, other) in self.blocked:
            return False
        return self.quality.get((one, other), PERFECT).loss < 1

    def heal(self) -> None:
        """Nothing is wrong any more; clocks too are right again."""
        for state in (self.unplugged, self.blocked, self.quality, self.frozen, self.full):
            state.clear()
        self.clock_s.clear()
        self.mtu.clear()

    def told(self) -> list[str]:
        """Return the lines that would bring about what stands, apart from link qualities."""
        lines = [f"cable {host} out" for host in sorted(self.unplugged)]
        lines += [f"blocked {one} -> {other}" for one, other in sorted(self.blocked)]
        for (one, other), quality in sorted(self.quality.items()):
            fields = dataclasses.asdict(quality).items()
            words = " ".join(f"{name}={value:g}" for name, value in fields if value)
            lines.append(f"link {one} -> {other}: {words}")
        lines += [f"freeze {host}" for host in sorted(self.frozen)]
        lines += [f"disk {host} full" for host in sorted(self.full)]
        lines += [f"mtu {size} {host}" for host, size in sorted(self.mtu.items())]
        return lines + [f"clock {host} {value:+g}" for host, value in sorted(self.clock_s.items())]


PROCESS_WORDS = ("kill", "crash", "start")
"""What befalls processes and hosts, and leaves nothing in `Faults`."""
USAGES = {
    "cable": "cable HOST out|in",
    "cut": "cut A,B / C,D …",
    "one-way": "one-way A B",
    "delay": "delay MS[~JITTER] [HOST [OTHER]]",
    "loss": "loss PERCENT [HOST [OTHER]]",
    "duplicate": "duplicate PERCENT [HOST [OTHER]]",
    "reorder": "reorder PERCENT [HOST [OTHER]]",
    "rate": "rate KBIT [HOST [OTHER]]",
    "mtu": "mtu BYTES [HOST]",
    "kill": "kill HOST [NAME]",
    "crash": "crash HOST",
    "start": "start HOST",
    "freeze": "freeze HOST",
    "thaw": "thaw HOST",
    "clock": "clock HOST SECONDS",
    "disk": "disk HOST full|free",
    "heal": "heal",
}


def host_of(hosts: Sequence[str], name: str) -> str:
    """Return `name` if it is a host.

    Raises:
        NoSuchThing: it is none.
    """
    if name not in hosts:
        raise NoSuchThing(f"this lab has no host {name!r}: it has {', '.join(hosts) or 'none'}")
    return name


def _usage(word: str) -> ConfigError:
    return ConfigError(f"want `{USAGES[word]}`")


def _number(text: str, what: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ConfigError(f"{what} {text!r} is no number from {least:g} to {most:g}")
    return value


def change(faults: Faults, words: Sequence[str]) -> None:
    """Do what a line says to `faults`: any line of USAGES but those of PROCESS_WORDS.

    Raises:
        ConfigError: it isn't said so; nothing changed.
        NoSuchThing: there is no such host; nothing changed.
    """
    word, rest = words[0], list(words[1:])
    if word not in USAGES or word in PROCESS_WORDS:
        raise ConfigError(f"{word!r} is no fault: want one of {', '.join(USAGES)}")
    _CHANGES[word](faults, word, rest)


def _switch(faults: Faults, word: str, rest: list[str]) -> None:
    """cable, disk: HOST and one of two words."""
    on, off, state = {
        "cable": ("out", "in", faults.unplugged),
        "disk": ("full", "free", faults.full),
    }[word]
    if len(rest) != 2 or rest[1] not in (on, off):
        raise _usage(word)
    host = host_of(faults.hosts, rest[0])
    (state.add if rest[1] == on else state.discard)(host)


def _freeze(faults: Faults, word: str, rest: list[str]) -> None:
    if len(rest) != 1:
        raise _usage(word)
    host = host_of(faults.hosts, rest[0])
    (faults.frozen.add if word == "freeze" else faults.frozen.discard)(host)


def _cut(faults: Faults, word: str, rest: list[str]) -> None:
    """Hosts of different sides lose each other; who is on no side keeps all."""
    text = " ".join(rest)
    sides = [
        [host_of(faults.hosts, name) for name in part.replace(",", " ").split()]
        for part in text.split("/")
    ]
    if len(sides) < 2 or not all(sides):
        raise _usage(word)
    for one, other in itertools.permutations(sides, 2):
        faults.blocked |= {(a, b) for a in one for b in other if a != b}


def _one_way(faults: Faults, word: str, rest: list[str]) -> None:
    if len(rest) != 2 or rest[0] == rest[1]:
        raise _usage(word)
    one, other = (host_of(faults.hosts, name) for name in rest)
    faults.blocked.discard((one, other))
    faults.blocked.add((other, one))


def _pairs(faults: Faults, word: str, rest: list[str]) -> Iterable[Pair]:
    """All links, those of one host, those between two, or (`A>B`) that from one to the other."""
    if len(rest) == 1 and ">" in rest[0]:
        one, _, other = rest[0].partition(">")
        return [(host_of(faults.hosts, one), host_of(faults.hosts, other))]
    if len(rest) > 2:
        raise _usage(word)
    named = [host_of(faults.hosts, name) for name in rest]
    return [pair for pair in itertools.permutations(faults.hosts, 2) if set(named) <= set(pair)]


def _spoil(faults: Faults, word: str, rest: list[str]) -> None:
    """delay, loss, duplicate, reorder, rate."""
    if not rest:
        raise _usage(word)
    amount = rest[0].removesuffix("%").removesuffix("ms")
    values: dict[str, float]
    if word == "delay":
        least, _, more = amount.partition("~")
        values = {
            "delay_ms": _number(least.removesuffix("ms"), "a delay of", 0, DELAY_MS_MAX),
            "jitter_ms": _number(more or "0", "a jitter of", 0, DELAY_MS_MAX),
        }
    elif word == "rate":
        values = {"rate_kbit": _number(amount, "a rate of", 0, RATE_KBIT_MAX)}
    else:
        values = {word: _number(amount, f"a {word} of", 0, 100) / 100}
    for pair in _pairs(faults, word, rest[1:]):
        quality = dataclasses.replace(faults.quality.get(pair, PERFECT), **values)
        if quality == PERFECT:
            faults.quality.pop(pair, None)
        else:
            faults.quality[pair] = quality


def _clock(faults: Faults, word: str, rest: list[str]) -> None:
    if len(rest) != 2:
        raise _usage(word)
    host = host_of(faults.hosts, rest[0])
    value = _number(rest[1].removesuffix("s"), "a shift of", -CLOCK_S_MAX, CLOCK_S_MAX)
    if value:
        faults.clock_s[host] = value
    else:
        faults.clock_s.pop(host, None)


def _mtu(faults: Faults, word: str, rest: list[str]) -> None:
    """The longest packet that all hosts, or one, send and take; 0: as long as a cable's."""
    if not 1 <= len(rest) <= 2:
        raise _usage(word)
    size = int(_number(rest[0], "an MTU of", 0, CABLE_MTU))
    if 0 < size < MTU_MIN:
        raise ConfigError(f"an MTU is {MTU_MIN} bytes at least, as IPv4 says, or 0 for a cable's")
    for host in [host_of(faults.hosts, name) for name in rest[1:]] or faults.hosts:
        if size in (0, CABLE_MTU):
            faults.mtu.pop(host, None)
        else:
            faults.mtu[host] = size


def _heal(faults: Faults, word: str, rest: list[str]) -> None:
    if rest:
        raise _usage(word)
    faults.heal()


_CHANGES: dict[str, Callable[[Faults, str, list[str]], None]] = {
    "cable": _switch,
    "disk": _switch,
    "cut": _cut,
    "one-way": _one_way,
    **dict.fromkeys(("delay", "loss", "duplicate", "reorder", "rate"), _spoil),
    "freeze": _freeze,
    "thaw": _freeze,
    "clock": _clock,
    "mtu": _mtu,
    "heal": _heal,
}

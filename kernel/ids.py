"""Names of things: nodes with their incarnation, actors with theirs, clocks."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple, NewType

from zactor.kernel.errors import ConfigError
from zactor.kernel.printable import shortened

ActorUid = NewType("ActorUid", int)
"""One deployment of one actor: unique in the cluster, never used again (see `actor_uid`)."""

_SHOWN_CHARS = 100  # of what is no name
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,62}")


class NodeId(NamedTuple):
    """One life of a node: `incarnation` grows at every start, so who restarts is a new member."""

    name: str
    incarnation: int

    def __str__(self) -> str:
        return f"{self.name}@{self.incarnation}"


class Clock(NamedTuple):
    """The place of a change in the history: `index` counts within an `epoch`; (0, 0) is nothing."""

    epoch: int
    index: int  # type: ignore[assignment]  # shadows tuple.index, which is not used

    def __str__(self) -> str:
        return f"{self.epoch}.{self.index}"


ORIGIN = Clock(0, 0)

_INDEX_BITS = 40
_OF_DEPLOYMENTS = 1 << 62  # uids from there on aren't of clocks, whose epochs stay below 2^22


def actor_uid(clock: Clock) -> ActorUid:
    """The uid of the only actor that the transaction at `clock` deployed."""
    assert 0 <= clock.index < 1 << _INDEX_BITS, clock
    return ActorUid(clock.epoch << _INDEX_BITS | clock.index)


def deployment_uid(deployment: str) -> ActorUid:
    """The uid of an actor that is deployed with others by one transaction.

    It is made of the deployment's id, which is unique, and lies above those of clocks: of a million
    actors two are alike with a probability of 10^-7.
    """
    digest = hashlib.blake2b(deployment.encode(), digest_size=8).digest()
    return ActorUid(_OF_DEPLOYMENTS | int.from_bytes(digest, "big") >> 2)


def _a(kind: str) -> str:
    return f"{'an' if kind[:1] in 'aeio' else 'a'} {kind}"


def signal_and_action(wire: str) -> tuple[str, str]:
    """Return what a wire called so leads from and to: `inc` both, `reading>store` one each."""
    signal, _, action = wire.partition(">")
    return signal, action or signal


def wire_between(signal: str, action: str) -> str:
    """Return what a wire from that signal to that action is called, see `signal_and_action`.

    Raises:
        ConfigError: one is no name.
    """
    check_name("signal", signal)
    return signal if check_name("action", action) == signal else f"{signal}>{action}"


def spoken_wire(emitter: str, wire: str, reactor: str) -> str:
    """Return a wire as people read it: `g1.inc -> c1`, or `s1.reading -> r1.store`."""
    signal, action = signal_and_action(wire)
    return f"{emitter}.{signal} -> {reactor}{'' if action == signal else f'.{action}'}"


def check_wire_name(wire: str) -> str:
    """Return `wire` as wires are called.

    Raises:
        ConfigError: it is no name of an action, nor SIGNAL>ACTION.
    """
    signal, arrow, action = wire.partition(">")
    return wire_between(signal, action) if arrow else check_name("action", wire)


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can name a `kind` (node, actor, type, action …).

    Raises:
        ConfigError: it is no letter followed by up to 62 letters, digits, `_` or `-`.
    """
    if not _NAME.fullmatch(name):
        shown = shortened(name, _SHOWN_CHARS)
        raise ConfigError(
            f"{shown!r} is no name for {_a(kind)}:"
            " want a letter, then at most 62 of a-z A-Z 0-9 _ -"
        )
    return name

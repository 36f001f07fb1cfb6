"""Pickle all that a user's class, argument or message may name, with the zactor of this Python.

    python make_pickles.py OUTPUT.json

The output has one pickle per line of `made`, in base 64: what disks and wires of that version hold.
"""

from __future__ import annotations

import base64
import json
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle

import zactor
import zactor.client.connect
import zactor.cluster.local_cluster
import zactor.mailbox.mailbox
from zactor import (
    Actor,
    BlockingCluster,
    BlockingMailbox,
    BlockingMaster,
    Cluster,
    ConfigError,
    GroupMessage,
    Mailbox,
    Master,
    MembershipCause,
    MembershipMessage,
    NoSuchActor,
    Ref,
    RegularMessage,
    Reply,
    Service,
    ZactorError,
    action,
    build_bundle,
    connect,
    local,
    signal,
)
from zactor.kernel import Kernel, errors
from zactor.kernel.actors.refs import make_ref

__file__ = "make_pickles.py"  # it travels in pickles, which must name no folder of this machine


FRIEND: Any = make_ref("g1", None)  # type: ignore[arg-type]  # it is only pickled


class Colour(Enum):
    """An enum of the user's."""

    RED = Service.SAFE.value


@dataclass(repr=False)  # the code of a repr says where its Python is installed
class Wish:
    """A dataclass of the user's, with values of ours."""

    level: Service = Service.FIFO
    cause: MembershipCause = MembershipCause.JOIN
    seen: list[GroupMessage] = field(default_factory=list)


class Plain(Actor):
    """As little as there may be."""


class Wired(Actor):
    """Signals and actions."""

    updateVal = signal(int)
    bare = signal()
    many = signal(int, str, float, bytes)

    @action
    def inc(self, by: int = 1) -> int:
        self.updateVal.emit(by)
        return by

    @action
    async def slow(self) -> None:
        """An action that awaits."""


class Options(Wired, dispatcher="thread", mailbox_max=7, mailbox_policy="drop_oldest"):
    """Every class keyword, an override, defaults and class attributes of ours."""

    level = Service.AGREED
    friend = FRIEND
    call = FRIEND.inc
    wish: ClassVar[Wish] = Wish()
    colour = Colour.RED
    causes: ClassVar[dict[MembershipCause, Service]] = {MembershipCause.LEAVE: Service.SAFE}
    failures: ClassVar[tuple[type[ZactorError], ...]] = (ConfigError, NoSuchActor)

    @action
    def inc(self, by: int = 1, peer: Any = FRIEND, *, level: Any = Service.SAFE) -> int:
        return by

    def on_message(self, message: GroupMessage) -> None:
        if isinstance(message, GroupMessage) and message.service < Service.AGREED:
            raise ConfigError("too weak")

    def on_view(self, view: MembershipMessage) -> None:
        if view.cause is MembershipCause.NETWORK:
            raise NoSuchActor("gone")


class Aliases(Actor):
    """Methods of ours under other names, annotations that are objects."""

    hello = Actor.on_start
    say = Actor.send_signal
    sendSignal = Actor.sendSignal

    def do_action(self, name: str, args: tuple[Any, ...]) -> Any:
        return super().do_action(name, args)

    def typed(self, reply, ref):  # type: ignore[no-untyped-def]
        """Its annotations are set below, as without `from __future__ import annotations`."""


Aliases.typed.__annotations__ = {"reply": Reply[int], "ref": Ref, "return": signal[[int]]}


class Modules(Actor):
    """Holds our modules."""

    @action
    def fail(self) -> None:
        raise errors.NoSuchThing(f"{zactor.Service.SAFE} {zactor.client.connect.connect}")

    @action
    def more(self) -> object:
        return zactor.mailbox.mailbox.Mailbox, zactor.cluster.local_cluster.local


class Outside(Actor):
    """Calls a cluster, or makes one."""

    @action
    def run(self) -> object:
        with Kernel() as kernel, connect() as master, local() as cluster, Mailbox("a") as box:
            return kernel, master, cluster, box, build_bundle(Plain)

    @action
    def kinds(self) -> object:
        return Master, BlockingMaster, Cluster, BlockingCluster, BlockingMailbox, RegularMessage


def closure() -> object:
    """A function that catches our errors."""
    expected = (ConfigError, errors.TermError, errors.RemoteProtocolError)

    def inner() -> str:
        try:
            return str(Service.parse("agreed"))
        except expected as error:
            return str(error)

    return inner


def values() -> Iterator[tuple[str, object]]:
    """What arguments may be made of."""
    for level in Service:
        yield f"Service.{level.name}", level
    for cause in MembershipCause:
        yield f"MembershipCause.{cause.name}", cause
    yield "a ref", FRIEND
    yield "a call", FRIEND.inc
    room = GroupMessage(
        sender="#a#n1", groups=("g",), value=FRIEND, service=Service.SAFE, transitional=False
    )
    yield "a GroupMessage", room
    yield "a wish", Wish(seen=[room])
    yield (
        "a MembershipMessage",
        MembershipMessage("g", False, MembershipCause.JOIN, ("#a#n1",), "#a#n1", (), -1, "1"),
    )
    yield (
        "a RegularMessage",
        RegularMessage("#a#n1", ("g",), b"x", Service.FIFO, False, 0, False, "n1@1", 1, "1.n1@1"),
    )
    yield "a signal", Wired.__dict__["updateVal"]
    yield "an action", Wired.__dict__["inc"]
    yield "options", Options.__zactor_options__
    yield "colour", Colour.RED


def made() -> Iterator[tuple[str, bytes]]:
    """(what it is, its pickle)"""
    for name in sorted(zactor._HOMES):
        yield f"zactor.{name}", pickle.dumps(getattr(zactor, name), 5)
    yield "Kernel", pickle.dumps(Kernel, 5)
    for kind in sorted(errors._BY_NAME.values(), key=lambda kind: kind.__name__):
        yield f"class {kind.__name__}", pickle.dumps(kind, 5)
        if kind is not errors.RemoteActionError:
            yield f"error {kind.__name__}", pickle.dumps(kind("why"), 5)
    remote = errors.RemoteActionError("why", remote_type="KeyError", node="n1", actor="c1")
    yield "error RemoteActionError", cloudpickle.dumps(remote, 5)
    for text, value in values():
        yield f"value {text}", cloudpickle.dumps([value], 5)
    for kind in (Plain, Wired, Options, Aliases, Modules, Outside, Colour, Wish):
        yield f"class {kind.__name__} by value", cloudpickle.dumps(kind, 5)
    yield "a closure", cloudpickle.dumps(closure(), 5)


if __name__ == "__main__":
    lines = {text: base64.b64encode(data).decode() for text, data in made()}
    held = {"python": list(sys.version_info[:2]), "zactor": zactor.__version__, "made": lines}
    Path(sys.argv[1]).write_text(json.dumps(held, indent=0) + "\n")

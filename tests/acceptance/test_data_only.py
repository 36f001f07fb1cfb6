"""S11: under payload="data" nothing that arrives is unpickled, in whatever field it comes.

Each way is played with payload="pickle" too, where the trap springs: so the test could fail.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S
from rude_clients import rude_client
from slow_marks import all_slow_but

from zactor import BlockingMaster, Mailbox, ZactorError, connect
from zactor.kernel.messages.operations import AskActor, DeployActor, EmitSignal, TellActor
from zactor.kernel.wire.payload import VALUE_MARK
from zactor.lab.lab import Lab, until

ACTORS = """
import os

from zactor import Actor, action, signal


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


class Hearer(Actor):
    def __init__(self, x: object = None) -> None:
        self.heard = 0

    async def on_start(self) -> None:
        await self.join("room")

    def on_message(self, message) -> None:
        self.heard += 1

    @action
    def hear(self, x: object = None) -> None:
        self.heard += 1

    @action
    def hear_in_order(self, x: object = None) -> None:
        self.heard += 1

    @action
    def count(self) -> int:
        return self.heard

    @action
    async def ask(self, other: str, action: str, path: str) -> str:
        return repr(await getattr(self.ref(other), action)(path))


class Speaker(Actor):
    hear = signal(object)
    hear_in_order = signal(object)

    @action
    def give(self, path: str) -> object:
        return Bomb(path)

    @action
    def fail(self, path: str) -> object:
        raise ValueError(Bomb(path))

    @action
    def send(self, path: str) -> None:
        self.hear.emit(Bomb(path))

    @action
    def send_in_order(self, path: str) -> None:
        self.hear_in_order.emit(Bomb(path))

    @action
    async def cast(self, path: str) -> None:
        await self.multicast("room", Bomb(path))

    @action
    async def ask_with(self, other: str, path: str) -> str:
        return repr(await self.ref(other).hear(Bomb(path)))

    @action
    def tell(self, other: str, path: str) -> None:
        self.ref(other).hear.tell(Bomb(path))
"""


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (self.path,))


def arguments(path: str) -> bytes:
    return pickle.dumps((Bomb(path),), 5)


def keywords(path: str) -> bytes:
    return pickle.dumps([(), {"x": Bomb(path)}], 5)


Way = Callable[[Lab, BlockingMaster, str], object]


def at_door(node: str, operation: Callable[[str], Any]) -> Way:
    """Ask for something by hand at the door of a node."""

    def go(lab: Lab, m: BlockingMaster, path: str) -> None:
        with rude_client(lab.home, lab.endpoint(node)) as client:
            client.ask(operation(path))

    return go


def by_program(lab: Lab, m: BlockingMaster, path: str) -> None:
    with Mailbox("program", lab.endpoint("n2"), home=lab.home) as box:
        box.multicast("room", VALUE_MARK + pickle.dumps(Bomb(path), 5))


WAYS: dict[str, Way] = {
    "tell": at_door("n1", lambda path: TellActor("a", "hear", arguments(path))),
    "ask": at_door("n1", lambda path: AskActor("a", "hear", arguments(path), True)),
    "ask by another door": at_door(
        "n2", lambda path: AskActor("a", "hear", arguments(path), False)
    ),
    "signal": at_door("n1", lambda path: EmitSignal("c", "hear", arguments(path))),
    "constructor": at_door("n1", lambda path: DeployActor("Hearer", "x1", "n1", keywords(path))),
    "constructor by another door": at_door(
        "n2", lambda path: DeployActor("Hearer", "x2", "n1", keywords(path))
    ),
    "signal of a peer": lambda lab, m, path: m.ask("b", "send", path),
    "signal in order of a peer": lambda lab, m, path: m.ask("b", "send_in_order", path),
    "group message of a peer": lambda lab, m, path: m.ask("b", "cast", path),
    "group message of a program": by_program,
    "ask of a peer": lambda lab, m, path: m.ask("b", "ask_with", "a", path),
    "tell of a peer": lambda lab, m, path: m.ask("b", "tell", "a", path),
    "answer of a peer": lambda lab, m, path: m.ask("a", "ask", "b", "give", path),
}


@pytest.mark.parametrize("policy", all_slow_but({"data"}, ["data", "pickle"]))
def test_nothing_that_arrives_is_unpickled(lab: Lab, policy: str) -> None:
    lab.start("n1", "--payload", policy)
    lab.start("n2", env={"ZACTOR_PAYLOAD": "pickle"})
    until("they meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    (lab.home / "peer.py").write_text(ACTORS)
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S, payload="pickle") as m:
        for kind in ("Hearer", "Speaker"):
            m.declare_factory(kind, lab.home / "peer.py")
        m.deploy_actor("Hearer", "a", "n1")
        m.deploy_actor("Speaker", "b", "n2")
        m.deploy_actor("Speaker", "c", "n1")
        for emitter in ("b", "c"):
            m.react_interaction("a", emitter, "hear")
        m.react_interaction("a", "b", "hear_in_order", "agreed")
        for number, (name, way) in enumerate(WAYS.items()):
            trap = lab.home / f"trap{number}"
            with contextlib.suppress(ZactorError):
                way(lab, m, str(trap))
            _settle(lab, m)
            assert trap.exists() == (policy == "pickle"), name
        trap = lab.home / "answer to a program"
        with (
            connect(lab.endpoint("n1"), home=lab.home, payload=policy) as program,
            contextlib.suppress(ZactorError),
        ):
            program.ask("b", "give", str(trap))
        assert trap.exists() == (policy == "pickle")
        # What an exception has in it is never read but as text.
        trap = lab.home / "trap"
        with pytest.raises(ZactorError):
            m.ask("a", "ask", "b", "fail", str(trap))
        assert not trap.exists()


def _settle(lab: Lab, m: BlockingMaster) -> None:
    """Wait until all is handled that was sent to a before, by n2 and in the order of all."""
    before = m.ask("a", "count")
    with connect(lab.endpoint("n2"), home=lab.home, timeout=DEADLINE_S) as other:
        other.tell("a", "hear", "plain")
    with Mailbox("last", lab.endpoint("n2"), home=lab.home) as box:
        box.multicast("room", b"plain")
    until("a has it", lambda: m.ask("a", "count") >= before + 2)


def test_plain_data_goes_all_ways_under_data_and_nothing_else_leaves(lab: Lab) -> None:
    lab.start("n1", env={"ZACTOR_PAYLOAD": "data"})
    (lab.home / "peer.py").write_text(ACTORS)
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S, payload="data") as m:
        m.declare_factory("Hearer", lab.home / "peer.py")
        m.deploy_actor("Hearer", "a", "n1", x={"plain": [1, 2.5, None, b"x"]})
        m.tell("a", "hear", (1, "two"))
        assert m.ask("a", "count") == 1
        for refused in ({1, 2}, object(), Path("/")):
            with pytest.raises(ZactorError, match="payload='data'"):
                m.tell("a", "hear", refused)
            with pytest.raises(ZactorError, match="payload='data'"):
                m.deploy_actor("Hearer", "x", "n1", x=refused)


def test_a_policy_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZactorError, match="policy"):
        connect(home=tmp_path, payload="json")

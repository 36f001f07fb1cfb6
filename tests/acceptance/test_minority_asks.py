"""Whoever asks in a minority, or asks for one in another part, is told so in bounded time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest
from deadlines import DEADLINE_S
from slowness import Slowness

from zactor import Mailbox, ZactorError, connect
from zactor.kernel.messages.operations import AskActor
from zactor.kernel.wire.payload import encode
from zactor.lab.lab import Lab, until

BOUND_S = 5.0  # a frozen node is silent for 0.5 to 2 s before it is out of the view
NAMES = {"n1", "n2", "n3"}
ACTORS = """
import asyncio

from zactor import Actor, action


class Peer(Actor):
    @action
    def ping(self) -> int:
        return 1

    @action
    async def sleep(self) -> None:
        await asyncio.sleep(3_600)

    @action
    async def ask(self, other: str) -> int:
        return await self.ref(other).ping()
"""
NOTHING = encode((), {}, "data")


def begin(lab: Lab) -> None:
    for name in sorted(NAMES):
        lab.start(name)
    until("they meet", lambda: all(lab.names_up(name) == NAMES for name in NAMES))
    (lab.home / "peer.py").write_text(ACTORS)
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S) as m:
        m.declare_factory("Peer", lab.home / "peer.py")
        for name in sorted(NAMES):
            m.deploy_actor("Peer", f"on-{name}", name)


def ends(slowness: Slowness, ask: Callable[[], object]) -> str:
    """Return the error of what must fail within BOUND_S of a quiet machine."""
    began = time.monotonic()
    with pytest.raises(ZactorError) as caught:
        ask()
    assert slowness.quiet_s(time.monotonic() - began) < BOUND_S, str(caught.value)
    assert "\n" not in str(caught.value)
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.slow
def test_every_ask_of_a_minority_ends(lab: Lab, slowness: Slowness) -> None:
    """Frozen, not killed: nothing proves that the others are dead."""
    begin(lab)
    with (
        connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S) as m,
        Mailbox("program", lab.endpoint("n1"), home=lab.home) as box,
    ):
        box.join("room")

        def forever(actor: str, action: str) -> Callable[[], object]:
            """An ask that has no limit of its own."""
            future = m.connection.request(AskActor(actor, action, NOTHING, True), math.inf)
            return lambda: future.result(DEADLINE_S)

        under_way = forever("on-n2", "sleep")
        lab.freeze("n2")
        lab.freeze("n3")
        assert "n2" in ends(slowness, under_way), "under way when the others went"
        for actor in ("on-n2", "on-n3"):
            for ask in (
                forever(actor, "ping"),
                lambda actor=actor: m.ask(actor, "ping"),
                lambda actor=actor: m.tell(actor, "ping"),
                lambda actor=actor: m.send_signal(actor, "ping"),
            ):
                said = ends(slowness, ask)
                assert "NotReachable" in said
                assert actor.removeprefix("on-") in said
        assert "on-n2" in ends(slowness, lambda: m.ask("on-n1", "ask", "on-n2"))
        assert "NotPrimary" in ends(slowness, lambda: m.deploy_actor("Peer", "new", "n1"))
        assert "NotPrimary" in ends(slowness, lambda: m.destroy_actor("on-n2", todo=True))
        wire = lambda: m.react_interaction("on-n1", "on-n2", "ping", anyway=True)  # noqa: E731
        assert "NotPrimary" in ends(slowness, wire)
        # What needs nobody else goes on.
        assert m.ask("on-n1", "ping") == 1
        assert m.query("actor(A, _, n1)")
        box.multicast("room", b"here", service="safe")
        lab.thaw("n2")
        lab.thaw("n3")


@pytest.mark.slow
def test_an_ask_for_one_who_is_cut_off_ends_at_the_majority_too(
    lab: Lab, slowness: Slowness
) -> None:
    begin(lab)
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S) as m:
        asks = [
            m.connection.request(AskActor("on-n3", action, NOTHING, True), math.inf)
            for action in ("sleep", "sleep")
        ]
        lab.freeze("n3")
        for future in asks:
            assert "n3" in ends(slowness, lambda future=future: future.result(DEADLINE_S))
        assert "on-n3" in ends(slowness, lambda: m.ask("on-n2", "ask", "on-n3"))
        assert m.ask("on-n2", "ping") == 1
        lab.thaw("n3")

"""Outcomes alone: what becomes of a message that an actor of nobody's does not handle."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import MailboxFull, NoSuchAction, NotDelivered, RemoteActionError
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Undelivered
from zactor.kernel.runtime.envelope import AnyEnvelope, DeadLetter, Envelope, SharedPayload
from zactor.kernel.runtime.outcomes import Outcomes


class Target:
    """Whom messages were for."""

    def __init__(self) -> None:
        self.name = "t"
        self.uid = 7
        self.raised = 0
        self.mailbox: deque[AnyEnvelope] = deque()

    def is_driven_out(self, error: BaseException) -> bool:
        return isinstance(error, KeyboardInterrupt)


class Port:
    """A link that keeps what it is told."""

    node = NodeId("n2", 1)
    congested = False

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.credit = 0

    def put(self, item: Any) -> None:
        self.items.append(item)

    def consumed(self, count: int) -> None:
        self.credit += count


class Kept:
    """Outcomes with what they told."""

    def __init__(self) -> None:
        self.dead: list[DeadLetter] = []
        self.failed: list[tuple[str, ...]] = []
        self.outcomes = Outcomes(
            NodeId("n1", 3),
            dead_letter=self.dead.append,
            failed=lambda *what: self.failed.append(what),
        )


@pytest.fixture
def kept() -> Kept:
    return Kept()


def asked() -> tuple[Reply[Any], Envelope]:
    reply: Reply[Any] = Reply()
    return reply, Envelope("do", asker=reply)


def test_a_signal_that_waits_in_a_mailbox_becomes_a_dead_letter(kept: Kept) -> None:
    target = Target()
    target.mailbox += [("do", (1,), "emitter"), ("do", (2,), "emitter")]
    kept.outcomes.sweep(target, "it stops")
    assert not target.mailbox
    assert [(d.sender, d.target, d.reason, d.node) for d in kept.dead] == [
        ("emitter", "t", "it stops", "n1")
    ] * 2


def test_a_signal_that_a_full_mailbox_refuses_raises_where_it_is_emitted(kept: Kept) -> None:
    with pytest.raises(MailboxFull, match="full"):
        kept.outcomes.refuse(Target(), ("do", (), "emitter"), MailboxFull("full"))
    assert kept.dead == []


def test_an_ask_that_is_refused_ends_with_the_reason_and_is_no_dead_letter(kept: Kept) -> None:
    reply, message = asked()
    kept.outcomes.refuse(Target(), message, NotDelivered("t is stopping"))
    with pytest.raises(NotDelivered, match="t is stopping"):
        reply.result(0)
    assert kept.dead == []


@pytest.mark.parametrize(("taken", "credit"), [(False, 1), (True, 0)])
def test_a_signal_of_another_node_is_sent_back_with_its_credit(
    kept: Kept, taken: bool, credit: int
) -> None:
    port = Port()
    message = Envelope("do", shared_payload=SharedPayload(b"", (), port, 5, 17))
    kept.outcomes.refuse(Target(), message, NotDelivered("why"), taken=taken)
    assert port.items == [Undelivered((7,), 5, 17, "do", "why")]
    assert port.credit == credit
    assert kept.dead == [], "that is kept at its sender's node"


def test_what_an_action_raises_reaches_its_asker_and_who_counts_failures(kept: Kept) -> None:
    reply, message = asked()
    kept.outcomes.fail(Target(), message, ValueError("seven"))
    with pytest.raises(RemoteActionError, match="seven") as raised:
        reply.result(0)
    assert (raised.value.remote_type, raised.value.node, raised.value.actor) == (
        "ValueError",
        "n1",
        "t",
    )
    assert [what[:3] for what in kept.failed] == [("t", "do", "ValueError: seven")]


def test_an_action_that_there_is_not_is_no_failure_of_the_actor(kept: Kept) -> None:
    reply, message = asked()
    kept.outcomes.fail(Target(), message, NoSuchAction("no action do"))
    with pytest.raises(NoSuchAction, match="no action do"):
        reply.result(0)
    kept.outcomes.fail(Target(), ("do", (), "emitter"), NoSuchAction("no action do"))
    assert [letter.reason for letter in kept.dead] == ["no action do"]
    assert kept.failed == []


def test_ctrl_c_goes_to_who_drives_the_loop(kept: Kept) -> None:
    with pytest.raises(KeyboardInterrupt):
        kept.outcomes.fail(Target(), ("do", (), "emitter"), KeyboardInterrupt())
    assert kept.failed == []

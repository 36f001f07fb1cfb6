"""A member of a replicated theory, step by step: what each event makes it do."""

from __future__ import annotations

import pytest
from kb_wires import MASTER, NODE, create, decided, new, sent, stands

from zactor.kernel import config
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.history import Saved
from zactor.kernel.knowledge.replica import (
    Applied,
    Decided,
    Led,
    Promised,
    Replaced,
    Replica,
    Send,
    Trace,
)
from zactor.kernel.knowledge.theory import FactRow, Theory
from zactor.kernel.protocol.messages import (
    Change,
    KbApplied,
    KbLog,
    KbMessage,
    KbOrder,
    KbOutcome,
    KbPoll,
    KbSnapshot,
    KbSubmit,
)


def follower() -> Replica:
    """n1, which obeys m1 in epoch 4."""
    replica = new("n1")
    replica.members({"m1": MASTER, "n1": NODE, "n2": NODE}, 0.0)
    effects = replica.receive("m1", KbPoll(4), 0.0)
    assert effects == [
        Promised(epoch=4),
        Led(leader="m1", epoch=4),
        Send(to="m1", message=stands(4)),
    ]
    return replica


def first_change() -> Change:
    """The opening of m1's epoch 4, as m1 would make it."""
    leader = Replica("m1", Saved(theory=Theory(), promised=3))
    leader.members({"m1": MASTER}, 0.0)
    (applied,) = [e for e in leader.ready(0.0) if isinstance(e, Applied)]
    return applied.change


def test_a_member_acknowledges_what_it_has_applied() -> None:
    replica = follower()
    effects = replica.receive("m1", KbOrder(first_change()), 0.0)
    assert effects == [
        Applied(change=first_change()),
        Send(to="m1", message=KbApplied(4, 1)),
    ]


def test_an_order_counts_only_from_the_leader_and_in_the_promised_epoch() -> None:
    change = first_change()
    for sender, epoch in (("n2", 4), ("m1", 9)):
        replica = follower()
        if epoch != 4:
            replica.members({"m0": MASTER, "m1": MASTER, "n1": NODE}, 0.0)
            replica.receive("m0", KbPoll(epoch), 0.0)
        effects = replica.receive(sender, KbOrder(change), 0.0)
        assert [type(effect) for effect in effects] == [Trace]
        assert replica.clock == ORIGIN


def test_a_lower_or_doubtful_epoch_is_answered_with_the_one_promised() -> None:
    replica = follower()
    state = stands(4)
    assert sent(replica.receive("m1", KbPoll(4), 0.0)) == [state]
    assert sent(replica.receive("m1", KbPoll(3), 0.0)) == [stands(4, obeys=False)]
    replica.members({"m1": ("master", 2), "n1": NODE}, 0.0)
    # The same number from another life was promised to nobody.
    assert sent(replica.receive("m1", KbPoll(4), 0.0)) == [stands(4, obeys=False)]
    assert sent(replica.receive("m1", KbPoll(5), 0.0)) == [stands(5)]


def test_a_poll_of_one_who_does_not_lead_here_is_answered_when_it_does() -> None:
    replica = follower()
    assert sent(replica.receive("n2", KbPoll(7), 0.0)) == []
    assert sent(replica.receive("m0", KbPoll(8), 0.0)) == []  # unknown as yet
    effects = replica.members({"m0": MASTER, "m1": MASTER, "n1": NODE}, 0.0)
    assert sent(effects, "m0") == [stands(8)]


def test_what_is_malformed_is_dropped_and_changes_nothing() -> None:
    change = first_change()
    bad = Change(4, 1, "x", "w", "y", 0.0, (), ("p(",), change.digest)
    rows: tuple[FactRow, ...] = (("p(", 1, 1, "", "", 0.0),)
    messages: list[KbMessage] = [
        KbOrder(bad),
        KbLog((bad,)),
        KbSnapshot((4, 1), b"d", 0, True, rows, ()),
        KbSnapshot((4, 1), b"d", 3, True, (), ()),
        KbOutcome("unknown", 4, 1, "", ""),
        KbApplied(4, 1),
        KbSubmit(create("c1")),
        stands(4, Clock(9, 9)),
    ]
    for message in messages:
        replica = follower()
        effects = replica.receive("m1", message, 0.0)
        assert not [e for e in effects if isinstance(e, Applied | Replaced | Decided)], message
        assert (replica.clock, len(replica.theory), replica.promised) == (ORIGIN, 0, 4)
        assert sent(replica.receive("m1", KbOrder(change), 0.0))[-1:] in ([KbApplied(4, 1)], [])


def test_pieces_of_a_snapshot_from_a_life_that_ended_are_forgotten() -> None:
    replica = follower()
    replica.receive("m1", KbSnapshot((3, 1), b"d", 0, False, (("a", 1, 1, "", "", 0.0),), ()), 0.0)
    replica.members({"m1": ("master", 2), "n1": NODE}, 0.0)
    replica.receive("m1", KbPoll(9), 0.0)
    effects = replica.receive("m1", KbSnapshot((3, 1), b"d", 1, True, (), ()), 0.0)
    assert isinstance(effects[0], Trace)
    assert len(replica.theory) == 0


def test_too_many_open_transactions_are_refused_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "TRANSACTIONS_OPEN_MAX", 2)
    replica = new("n1")
    assert replica.submit(create("a"), 0.0) == []
    assert replica.submit(create("b"), 0.0) == []
    assert decided(replica.submit(create("c"), 0.0)) == [("create c", "MailboxFull")]


def test_a_transaction_too_long_for_a_frame_is_refused_where_it_is_submitted() -> None:
    long = create("'" + "é" * (config.CHANGE_BYTES_MAX // 20) + "'")
    assert decided(new("n1").submit(long, 0.0)) == []
    longer = create("'" + "é" * (config.CHANGE_BYTES_MAX // 4) + "'", "long")
    assert decided(new("n1").submit(longer, 0.0)) == [("long", "Refused")]

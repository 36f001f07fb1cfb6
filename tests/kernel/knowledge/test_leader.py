"""The leader and its followers: who leads, what is decided when, how a member is brought up."""

from __future__ import annotations

import pytest
from kb_wires import MASTER, NODE, Wires, actors, create, decided, destroy, new, sent, stands

from zactor.kernel import config
from zactor.kernel.errors import LocalProtocolError
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
    leader_of,
)
from zactor.kernel.protocol.messages import (
    KbApplied,
    KbCohort,
    KbLog,
    KbOrder,
    KbPoll,
    KbSnapshot,
    KbSubmit,
    KbWant,
)


def test_the_lowest_master_leads_else_the_lowest_node() -> None:
    assert leader_of({"a": NODE, "m2": MASTER, "m1": MASTER}) == "m1"
    assert leader_of({"b": NODE, "a": NODE}) == "a"
    assert leader_of({}) == ""


def test_nobody_leads_before_its_discovery_is_over() -> None:
    replica = new("m1")
    assert replica.members({"m1": MASTER}, 0.0) == []
    assert replica.submit(create("c1"), 0.0) == []
    effects = replica.ready(1.5)
    assert [type(effect) for effect in effects] == [Promised, Led, Applied, Applied, Decided]
    assert decided(effects) == [("create c1", "")]
    assert replica.clock == Clock(1, 2)
    assert (replica.leader, replica.promised) == ("m1", 1)


def test_a_view_without_this_node_is_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="lack m1 itself"):
        new("m1").members({"n1": NODE}, 0.0)


def test_a_change_is_decided_when_the_last_member_has_applied_it() -> None:
    leader = new("m1")
    leader.members({"m1": MASTER, "n1": NODE, "n2": NODE}, 0.0)
    polls = leader.ready(0.0)
    assert [(e.to, e.message) for e in polls if isinstance(e, Send)] == [
        ("n1", KbPoll(1)),
        ("n2", KbPoll(1)),
    ]
    assert sent(leader.receive("n1", stands(1), 0.0)) == []
    assert leader.leader == ""
    brought_up = leader.receive("n2", stands(1), 0.0)
    assert [type(message) for message in sent(brought_up, "n1")] == [KbLog, KbCohort]
    effects = leader.submit(create("c1"), 7.5)
    (order,) = sent(effects, "n1")
    assert isinstance(order, KbOrder)
    assert order.change.asserted == ("actor(c1)",)
    assert order.change.at == 7.5
    assert decided(effects) == []
    assert decided(leader.receive("n1", KbApplied(1, 2), 0.0)) == []
    assert decided(leader.receive("n2", KbApplied(1, 1), 0.0)) == []
    assert decided(leader.receive("n2", KbApplied(1, 2), 0.0)) == [("create c1", "")]


def test_a_member_that_leaves_is_no_longer_waited_for() -> None:
    leader = new("m1")
    leader.members({"m1": MASTER, "n1": NODE}, 0.0)
    leader.ready(0.0)
    leader.receive("n1", stands(1), 0.0)
    assert decided(leader.submit(create("c1"), 0.0)) == []
    assert decided(leader.members({"m1": MASTER}, 0.0)) == [("create c1", "")]


def test_a_member_sends_what_it_wants_to_the_leader_and_hears_the_outcome() -> None:
    wires = Wires(m1="master", n1="node", n2="node")
    wires.submit("n2", create("early"))
    wires.members("m1", "n1", "n2")
    wires.ready("m1", "n1", "n2")
    wires.submit("n1", create("c1"))
    wires.submit("n2", create("c1", "again"))
    wires.submit("n2", destroy("nobody"))
    assert wires.outcomes("n1") == [("create c1", "")]
    assert wires.outcomes("n2") == [
        ("create early", ""),
        ("again", "AlreadyExists"),
        ("destroy nobody", "NoSuchActor"),
    ]
    assert wires.facts() == {("actor(c1)", "actor(early)")}
    assert {replica.leader for replica in wires.replicas.values()} == {"m1"}
    assert len({replica.digest for replica in wires.replicas.values()}) == 1


def test_the_same_id_twice_is_one_change_and_one_outcome() -> None:
    wires = Wires(m1="master", n1="node")
    wires.members("m1", "n1")
    wires.ready("m1", "n1")
    wires.submit("n1", create("c1", "x"))
    before = wires.replicas["m1"].clock
    wires.submit("n1", create("c1", "x"))
    wires.submit("m1", create("c1", "x"))
    assert wires.outcomes("n1") == [("x", ""), ("x", "")]
    assert wires.outcomes("m1") == [("x", "")]
    assert wires.replicas["m1"].clock == before


def test_what_was_undecided_is_submitted_again_to_the_next_leader() -> None:
    wires = Wires(m1="master", n1="node", n2="node")
    wires.members("m1", "n1", "n2")
    wires.ready("m1", "n1", "n2")
    wires.cut.add("m1")
    wires.submit("n2", create("c1"))
    assert wires.outcomes("n2") == []
    del wires.replicas["m1"]
    wires.members("n1", "n2")
    assert wires.outcomes("n2") == [("create c1", "")]
    assert wires.facts() == {("actor(c1)",)}


def test_a_returning_master_takes_the_newest_knowledge_and_leads() -> None:
    wires = Wires(m1="master", n1="node")
    wires.members("n1")
    wires.ready("n1")
    wires.submit("n1", create("c1"))
    wires.members("m1", "n1")
    wires.ready("m1")
    assert wires.facts() == {("actor(c1)",)}
    assert wires.replicas["n1"].leader == "m1"
    wires.submit("n1", destroy("c1"))
    assert wires.facts() == {()}


def test_an_order_nobody_was_told_of_cannot_come_back_after_its_refusal() -> None:
    """Without an opening change the old leader's clock would be the newest when it returns."""
    wires = Wires(m1="master", n1="node", n2="node")
    wires.members("m1", "n1", "n2")
    wires.ready("m1", "n1", "n2")
    lonely = wires.replicas.pop("m1")
    lonely.submit(create("c1"), 0.0)
    lonely.receive("n2", KbSubmit(destroy("c1")), 0.0)
    wires.run("n2", wires.replicas["n2"].submit(destroy("c1"), 0.0))
    wires.members("n1", "n2")
    assert wires.outcomes("n2") == [("destroy c1", "NoSuchActor")]
    saved = Saved(
        theory=lonely.theory,
        clock=lonely.clock,
        digest=lonely.digest,
        promised=lonely.promised,
        changes=lonely.changes(),
        ids=(("create c1", 1, 2), ("destroy c1", 1, 3)),
    )
    wires.replicas["m1"], wires.lives["m1"] = Replica("m1", saved), 2
    wires.members("m1", "n1", "n2")
    wires.ready("m1")
    assert wires.replicas["m1"].leader == "m1"
    assert len({replica.digest for replica in wires.replicas.values()}) == 1
    ids = [change.id for change in wires.replicas["n1"].changes()]
    assert "destroy c1" not in ids


def test_a_long_past_travels_as_a_snapshot_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "HISTORY_KEPT", 3)
    monkeypatch.setattr(config, "KB_PIECE_BYTES", 400)
    wires = Wires(m1="master", n1="node")
    wires.members("m1")
    wires.ready("m1")
    for number in range(20):
        wires.submit("m1", create(f"c{number}"))
    wires.members("m1", "n1")
    pieces = [e.message for _, e in wires.happened if isinstance(e, Send) and e.to == "n1"]
    snapshot = [piece for piece in pieces if isinstance(piece, KbSnapshot)]
    assert len(snapshot) > 3
    assert [piece.piece for piece in snapshot] == list(range(len(snapshot)))
    assert [piece.last for piece in snapshot] == [False] * (len(snapshot) - 1) + [True]
    (replaced,) = [e for _, e in wires.happened if isinstance(e, Replaced)]
    assert len(replaced.facts) == 21
    assert len(replaced.ids) == 20
    assert wires.replicas["n1"].theory.rows() == wires.replicas["m1"].theory.rows()
    wires.submit("n1", create("c3", "create c3"))
    assert wires.outcomes("n1") == [("create c3", "")]  # it took place before the snapshot
    assert len(actors(wires.replicas["n1"])) == 20


def test_a_leader_that_is_outbid_begins_a_higher_epoch() -> None:
    leader = new("m1")
    leader.members({"m1": MASTER, "n1": NODE}, 0.0)
    leader.ready(0.0)
    effects = leader.receive("n1", stands(6, Clock(5, 2), obeys=False), 0.0)
    assert effects == [Promised(epoch=7), Send(to="n1", message=KbPoll(7))]
    effects = leader.receive("n1", stands(7, Clock(5, 2)), 0.0)
    assert sent(effects) == [KbWant(ORIGIN, b"")]
    assert leader.leader == ""


def test_an_order_with_a_gap_makes_the_member_ask_for_what_it_lacks_once() -> None:
    wires = Wires(m1="master")
    wires.members("m1")
    wires.ready("m1")
    wires.submit("m1", create("c1"))
    wires.submit("m1", create("c2"))
    changes = wires.replicas["m1"].changes()
    replica = new("n1")
    replica.members({"m1": MASTER, "n1": NODE}, 0.0)
    replica.receive("m1", KbPoll(1), 0.0)
    assert sent(replica.receive("m1", KbOrder(changes[1]), 0.0)) == [KbWant(ORIGIN, b"")]
    assert sent(replica.receive("m1", KbOrder(changes[2]), 0.0)) == []
    effects = replica.receive("m1", KbLog(changes), 0.0)
    assert sent(effects) == [KbApplied(1, 3)]
    assert actors(replica) == ("actor(c1)", "actor(c2)")


def test_who_hasn_t_answered_is_asked_again_after_a_while() -> None:
    leader = new("m1")
    leader.members({"m1": MASTER, "n1": NODE}, 0.0)
    leader.ready(0.0)
    assert sent(leader.tick(config.KB_POLL_MS, 0.0)) == [KbPoll(1)]
    assert sent(leader.tick(config.KB_POLL_MS + 1, 0.0)) == []
    assert sent(leader.tick(2 * config.KB_POLL_MS, 0.0)) == [KbPoll(1)]
    leader.receive("n1", stands(1), 0.0)
    assert sent(leader.tick(3 * config.KB_POLL_MS, 0.0)) == []


def test_a_member_that_took_its_leader_for_dead_by_mistake_finds_back() -> None:
    wires = Wires(m1="master", n1="node")
    wires.members("m1", "n1")
    wires.ready("m1", "n1")
    lost = wires.replicas["n1"]
    wires.run("n1", lost.members(wires.view("n1"), 0.0))
    wires.submit("n1", create("c1"))
    wires.submit("m1", create("c2"))
    wires.run("n1", lost.members(wires.view("m1", "n1"), 0.0))
    wires.run("n1", lost.tick(10_000, 0.0))
    wires.run("m1", wires.replicas["m1"].tick(10_000, 0.0))
    assert len({replica.digest for replica in wires.replicas.values()}) == 1
    assert wires.outcomes("m1") == [("create c2", "")]

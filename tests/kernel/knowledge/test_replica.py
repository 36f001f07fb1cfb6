"""The replica step by step: what each event makes it do."""

from __future__ import annotations

import pytest

from zactor.kernel import config
from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.history import Saved
from zactor.kernel.knowledge.replica import (
    Applied,
    Decided,
    Effect,
    Led,
    Promised,
    Replaced,
    Replica,
    Send,
    Trace,
    leader_of,
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
    KbState,
    KbSubmit,
    KbWant,
    Transaction,
)

MASTER, NODE = ("master", 1), ("node", 1)


def new(me: str, rows: list[FactRow] | None = None) -> Replica:
    return Replica(me, Saved(theory=Theory(rows or [])))


def create(name: str, id_: str = "") -> Transaction:
    return Transaction(
        id_ or f"create {name}",
        "m1",
        "test",
        ((f"\\+ actor({name})", "AlreadyExists", f"{name} is there"),),
        (),
        (f"actor({name})",),
    )


def destroy(name: str) -> Transaction:
    needs = ((f"actor({name})", "NoSuchActor", f"no {name}"),)
    return Transaction(f"destroy {name}", "m1", "test", needs, (f"actor({name})",), ())


def sent(effects: list[Effect], to: str | None = None) -> list[KbMessage]:
    return [e.message for e in effects if isinstance(e, Send) and to in (None, e.to)]


def decided(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(e.id, e.kind) for e in effects if isinstance(e, Decided)]


class Wires:
    """Replicas joined by links that deliver at once and in order; what happened, in a list."""

    def __init__(self, **roles: str) -> None:
        self.roles = roles
        self.lives = dict.fromkeys(roles, 1)
        self.replicas: dict[str, Replica] = {}
        self.happened: list[tuple[str, Effect]] = []
        self.cut: set[str] = set()  # whose messages stay on the way
        for name in roles:
            self.replicas[name] = new(name)

    def view(self, *names: str) -> dict[str, tuple[str, int]]:
        return {name: (self.roles[name], self.lives[name]) for name in names}

    def run(self, name: str, effects: list[Effect]) -> None:
        queue = [(name, effect) for effect in effects]
        while queue:
            source, effect = queue.pop(0)
            self.happened.append((source, effect))
            if isinstance(effect, Send) and source not in self.cut and effect.to in self.replicas:
                answer = self.replicas[effect.to].receive(source, effect.message, 0.0)
                queue += [(effect.to, one) for one in answer]

    def members(self, *names: str) -> None:
        for name in names:
            self.run(name, self.replicas[name].members(self.view(*names), 0.0))

    def ready(self, *names: str) -> None:
        for name in names:
            self.run(name, self.replicas[name].ready(0.0))

    def submit(self, name: str, transaction: Transaction) -> None:
        self.run(name, self.replicas[name].submit(transaction, 0.0))

    def outcomes(self, name: str) -> list[tuple[str, str]]:
        return decided([effect for source, effect in self.happened if source == name])

    def facts(self) -> set[tuple[str, ...]]:
        return {tuple(replica.theory.texts()) for replica in self.replicas.values()}


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
    assert sent(leader.receive("n1", KbState(1, True, ORIGIN, b""), 0.0)) == []
    assert leader.leader == ""
    brought_up = leader.receive("n2", KbState(1, True, ORIGIN, b""), 0.0)
    assert [type(message) for message in sent(brought_up, "n1")] == [KbLog]
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
    leader.receive("n1", KbState(1, True, ORIGIN, b""), 0.0)
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
    assert len(replaced.facts) == 20
    assert len(replaced.ids) == 20
    assert wires.replicas["n1"].theory.rows() == wires.replicas["m1"].theory.rows()
    wires.submit("n1", create("c3", "create c3"))
    assert wires.outcomes("n1") == [("create c3", "")]  # it took place before the snapshot
    assert len(wires.replicas["n1"].theory) == 20


def follower() -> Replica:
    """n1, which obeys m1 in epoch 4."""
    replica = new("n1")
    replica.members({"m1": MASTER, "n1": NODE, "n2": NODE}, 0.0)
    effects = replica.receive("m1", KbPoll(4), 0.0)
    assert effects == [
        Promised(epoch=4),
        Led(leader="m1", epoch=4),
        Send(to="m1", message=KbState(4, True, ORIGIN, b"")),
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
    state = KbState(4, True, ORIGIN, b"")
    assert sent(replica.receive("m1", KbPoll(4), 0.0)) == [state]
    assert sent(replica.receive("m1", KbPoll(3), 0.0)) == [KbState(4, False, ORIGIN, b"")]
    replica.members({"m1": ("master", 2), "n1": NODE}, 0.0)
    # The same number from another life was promised to nobody.
    assert sent(replica.receive("m1", KbPoll(4), 0.0)) == [KbState(4, False, ORIGIN, b"")]
    assert sent(replica.receive("m1", KbPoll(5), 0.0)) == [KbState(5, True, ORIGIN, b"")]


def test_a_poll_of_one_who_does_not_lead_here_is_answered_when_it_does() -> None:
    replica = follower()
    assert sent(replica.receive("n2", KbPoll(7), 0.0)) == []
    assert sent(replica.receive("m0", KbPoll(8), 0.0)) == []  # unknown as yet
    effects = replica.members({"m0": MASTER, "m1": MASTER, "n1": NODE}, 0.0)
    assert sent(effects, "m0") == [KbState(8, True, ORIGIN, b"")]


def test_a_leader_that_is_outbid_begins_a_higher_epoch() -> None:
    leader = new("m1")
    leader.members({"m1": MASTER, "n1": NODE}, 0.0)
    leader.ready(0.0)
    effects = leader.receive("n1", KbState(6, False, (5, 2), b"d"), 0.0)
    assert effects == [Promised(epoch=7), Send(to="n1", message=KbPoll(7))]
    effects = leader.receive("n1", KbState(7, True, (5, 2), b"d"), 0.0)
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
    assert replica.theory.texts() == ["actor(c1)", "actor(c2)"]


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
        KbState(4, True, (9, 9), b"z"),
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
    long = create("'" + "é" * (config.CHANGE_BYTES_MAX // 8) + "'")
    assert decided(new("n1").submit(long, 0.0)) == []
    longer = create("'" + "é" * (config.CHANGE_BYTES_MAX // 4) + "'", "long")
    assert decided(new("n1").submit(longer, 0.0)) == [("long", "Refused")]


def test_who_hasn_t_answered_is_asked_again_after_a_while() -> None:
    leader = new("m1")
    leader.members({"m1": MASTER, "n1": NODE}, 0.0)
    leader.ready(0.0)
    assert sent(leader.tick(config.KB_POLL_MS, 0.0)) == [KbPoll(1)]
    assert sent(leader.tick(config.KB_POLL_MS + 1, 0.0)) == []
    assert sent(leader.tick(2 * config.KB_POLL_MS, 0.0)) == [KbPoll(1)]
    leader.receive("n1", KbState(1, True, ORIGIN, b""), 0.0)
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

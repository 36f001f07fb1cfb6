"""Moves, step by step: what each waits for, and what is done when one fails.

Nothing runs here: what the node, the cluster and the other node are asked is noted in order. That
no signal is lost is in tests/acceptance/test_move_under_load.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from zactor.kernel import limits
from zactor.kernel.errors import (
    ConfigError,
    NoSuchThing,
    NotPrimary,
    OutcomeUnknown,
    Refused,
    TimedOut,
)
from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.operations import FlushLink, ReceiveActor
from zactor.supervisor.deployment import moves
from zactor.supervisor.deployment.moves import Moves
from zactor.supervisor.kb import facts

UID = 7
THERE = (
    "node(n1, 'a:1')",
    "node(n2, 'a:2')",
    "node(n3, 'a:3')",
    "actor(c, kind, n1)",
    "spec(c, 'sha256:1', '{}', d1)",
    "state(c, running, '')",
    f"born(c, {UID})",
)


class World:
    """The node n1, or n2, and what it is about to do."""

    def __init__(self, me: str, *texts: str) -> None:
        self.me = NodeId(me, 1)
        self.theory = Theory((text, 1, 1, "", "", 0.0) for text in (*THERE, *texts))
        self.notes: list[str] = []
        self.refuses: dict[str, Exception] = {}  # by the beginning of a note
        self.required: list[tuple[str, ...]] = []
        self.mailbox: list[object] = []
        self.state: bytes | None = b"state"
        self.cell = SimpleNamespace(mailbox=self.mailbox, member=None, name="c")
        self.ports: dict[str, object] = {name: object() for name in ("n1", "n2", "n3")}
        self.started: Future[None] = Future()
        self.moves: Any = None

    def note(self, text: str) -> None:
        self.notes.append(text)
        for begins, error in self.refuses.items():
            if text.startswith(begins):
                raise error

    async def commit(self, why: str, *, who: str, require: Any, **change: Any) -> None:
        self.required.append(tuple(goal for goal, _, _ in require))
        self.note(f"commit {why}")

    async def ask_node(self, node: str, op: object) -> None:
        if isinstance(op, FlushLink):
            self.note(f"ask {node} to flush {op.node}")
        elif isinstance(op, ReceiveActor):
            self.note(f"ask {node} to {op.step} {op.state}")

    def fence(self, port: object, what: str, done: Callable[[], None]) -> None:
        self.note(f"flush {next(name for name in self.ports if self.ports[name] is port)}")
        done()

    def run(self, work: Callable[[Moves], Coroutine[Any, Any, Any]]) -> Any:
        """Do something with the moves of this node; return what it returns."""

        async def whole() -> Any:
            self.moves = Moves(
                self.me,
                kb=SimpleNamespace(theory=self.theory, commit=self.commit),  # type: ignore[arg-type]
                runtime=SimpleNamespace(
                    directory=SimpleNamespace(cells={UID: self.cell}),
                    remoting=SimpleNamespace(fence=self.fence),
                    shared=SimpleNamespace(later=None),
                    spawn=self.spawn,
                    stop=lambda uid, reason, drain_s: self.note(f"stop {uid}"),
                ),
                blueprints=SimpleNamespace(make=self.make),  # type: ignore[arg-type]
                policy="pickle",
                hosting=SimpleNamespace(
                    runs=lambda row: True,
                    arrives=lambda name, uid: self.note(f"arrives {uid}"),
                    departs=lambda name, is_so: self.note(f"departs {is_so}"),
                    failed=lambda name, uid, why: self.note(f"failed {uid} {why}"),
                ),
                port_of=self.ports.get,  # type: ignore[arg-type]
            )
            return await asyncio.wait_for(work(self.moves), 10)

        return asyncio.run(whole())

    async def make(self, row: facts.ActorRow) -> Any:
        self.note("make")
        from zactor.kernel.runtime.blueprint import Blueprint

        return Blueprint(name=row.name, uid=row.uid, type=row.type, build=lambda: None)  # type: ignore[arg-type,return-value]

    def spawn(self, blueprint: Any) -> Future[None]:
        self.note("spawn")
        return self.started

    def emigrate(self, cell: object, settle: Any, policy: str, later: object) -> Future[None]:
        self.note(f"emigrate, {len(self.mailbox)} wait")
        done: Future[None] = settle(self.state)
        return done


@pytest.fixture
def leaves(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World("n1")
    monkeypatch.setattr(moves, "emigrate", world.emigrate)
    return world


def move(world: World) -> Any:
    return world.run(lambda made: made.move("c", "n2", "me", world.ask_node))


def test_each_step_of_a_move_waits_for_those_before_it(leaves: World) -> None:
    told = move(leaves)
    assert (told["former"], told["node"], told["changed"]) == ("n1", "n2", True)
    assert leaves.notes == [
        "ask n2 to load None",
        "commit move(c, n2): who sends to it waits",
        "ask n2 to flush n1",  # what was under way to it arrives …
        "ask n3 to flush n1",
        "emigrate, 0 wait",  # … and is handled
        "ask n2 to restore b'state'",
        "departs True",  # before it is known here that it is elsewhere: it isn't stopped then
        "commit move(c, n2)",
        "flush n2",  # what it sent arrives before what it sends there
        "flush n3",
        "ask n2 to begin None",
    ]


def test_nothing_that_hinders_a_move_may_come_before_its_end(leaves: World) -> None:
    move(leaves)
    first, last = map(set, leaves.required)
    both = {
        f"\\+ reacts({ends}, _, {level})"
        for level in ("causal", "agreed", "safe")
        for ends in ("c, _", "_, c")
    } | {
        "\\+ meanwhile(_, c, _, _)",
        "\\+ drained(n2)",
        "spec(c, _, _, d1)",
        "state(c, running, _)",
        "node(n2, _)",
    }
    assert first == both | {"\\+ moving(c, _)"}
    assert last == both | {"moving(c, n2)"}


def test_what_waits_for_it_is_handled_first_for_some_time(
    leaves: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves.mailbox += [1, 2]
    leaves.refuses["ask n3 to flush"] = NotPrimary("n3 is gone")  # what it sent is gone, too

    async def handled(made: Moves) -> Any:
        loop = asyncio.get_running_loop()
        loop.call_later(0.02, leaves.mailbox.pop)
        loop.call_later(0.04, leaves.mailbox.pop)
        return await made.move("c", "n2", "me", leaves.ask_node)

    leaves.run(handled)
    assert "emigrate, 0 wait" in leaves.notes
    monkeypatch.setattr(limits, "MOVE_DRAIN_S", 0.0)
    leaves.mailbox += [1]
    leaves.notes.clear()
    with pytest.raises(TimedOut, match="c stays on n1: 1 messages wait for it"):
        move(leaves)
    assert leaves.notes[-1].startswith("commit move(c) was given up: ")
    assert not any(note.startswith("emigrate") for note in leaves.notes)


def test_a_state_that_is_too_long_stays(leaves: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOVE_STATE_BYTES_MAX", 4)
    with pytest.raises(ConfigError, match="the state of c has 5 bytes: one that moves 4"):
        move(leaves)
    assert leaves.notes[-1].startswith("commit move(c) was given up: ")
    assert "departs True" not in leaves.notes


@pytest.mark.parametrize("at", ["ask n2 to restore", "commit move(c, n2)"])
def test_what_fails_until_it_is_there_leaves_it_here(leaves: World, at: str) -> None:
    leaves.refuses[at] = Refused("not there")
    if at.startswith("commit"):
        leaves.refuses = {}

        async def commit(why: str, **change: Any) -> None:
            leaves.note(f"commit {why}")
            if why == "move(c, n2)":
                raise Refused("not there")

        leaves.commit = commit  # type: ignore[method-assign]
    with pytest.raises(Refused, match="not there"):
        move(leaves)
    assert leaves.notes[-1] == "commit move(c) was given up: Refused: not there"
    assert [note for note in leaves.notes if note.startswith("departs")] == (
        ["departs True", "departs False"] if at.startswith("commit") else []
    )
    assert "ask n2 to begin None" not in leaves.notes


MOVED = "commit move(c, n2)"
GIVEN_UP = "commit move(c) was given up"


def cut_off(world: World, monkeypatch: pytest.MonkeyPatch, *, at: str, moved: bool) -> list[str]:
    """Have the answer to a commit get lost, and the next two not be taken; return all notes."""
    monkeypatch.setattr(moves, "RETRY_S", 0.01)
    errors: list[Exception] = [NotPrimary("cut off"), OutcomeUnknown("cut off")]

    async def commit(why: str, **change: Any) -> None:
        world.note(f"commit {why}")
        if f"commit {why}" == at:
            if moved:
                now = [text.replace("kind, n1", "kind, n2") for text in THERE]
                world.moves._kb.theory = Theory((text, 1, 1, "", "", 0.0) for text in now)
            raise OutcomeUnknown("it was on its way")
        if why.startswith("move(c) was given up"):
            if errors:
                raise errors.pop()
            if moved:
                raise NoSuchThing("it doesn't move")

    world.commit = commit  # type: ignore[method-assign]
    return world.notes


def test_nothing_goes_on_here_before_it_is_known_whether_it_is_there(
    leaves: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = cut_off(leaves, monkeypatch, at=MOVED, moved=True)
    assert move(leaves)["changed"] is True
    assert "departs False" not in notes
    assert sum(note.startswith(GIVEN_UP) for note in notes) == 3
    assert notes[-1] == "ask n2 to begin None"


def test_what_did_not_take_place_goes_on_here_when_that_is_known(
    leaves: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = cut_off(leaves, monkeypatch, at=MOVED, moved=False)
    with pytest.raises(OutcomeUnknown):
        move(leaves)
    known = [number for number, note in enumerate(notes) if note.startswith(GIVEN_UP)][2]
    assert notes.index("departs False") > known
    assert "ask n2 to begin None" not in notes


@pytest.mark.parametrize("at", [f"{MOVED}: who sends to it waits", "ask n2 to restore"])
def test_who_sends_to_it_does_not_wait_for_ever(
    leaves: World, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    notes = cut_off(leaves, monkeypatch, at=at, moved=False)
    leaves.refuses = {} if at.startswith("commit") else {at: NotPrimary("n2 is gone")}

    async def work(made: Moves) -> None:
        with pytest.raises((OutcomeUnknown, NotPrimary)):
            await made.move("c", "n2", "me", leaves.ask_node)
        await asyncio.gather(*made._giving_up)

    leaves.run(work)
    assert sum(note.startswith(GIVEN_UP) for note in notes) == 3, notes


def comes(*texts: str) -> World:
    return World("n2", "moving(c, n2)", *texts)


def row(world: World, node: str) -> facts.ActorRow:
    found = facts.actor(
        Theory((t.replace("kind, n1", f"kind, {node}"), 1, 1, "", "", 0.0) for t in THERE), "c"
    )
    assert found is not None
    return found


async def arrive(world: World, made: Moves) -> Any:
    """Have the actor come as far as its restore, and return what waits for the rest."""
    await made.receive(ReceiveActor("load", "c"))
    restoring = asyncio.ensure_future(made.receive(ReceiveActor("restore", "c", b"state")))
    await asyncio.sleep(0)
    immigrant = made._arrivals["c"].immigrant
    assert immigrant is not None
    assert not restoring.done()
    immigrant.restored.set_result(None)
    await restoring
    return immigrant


def test_one_that_comes_is_expected_before_it_is_made_and_begins_when_told() -> None:
    world = comes()

    async def work(made: Moves) -> None:
        immigrant = await arrive(world, made)
        assert made.coming() == ["c"]
        beginning = asyncio.ensure_future(made.receive(ReceiveActor("begin", "c")))
        await asyncio.sleep(0)
        assert immigrant._is_free.done()
        world.started.set_result(None)
        await beginning
        assert made.coming() == []

    world.run(work)
    assert world.notes == ["make", f"arrives {UID}", "spawn"]


def test_one_whose_on_start_raises_has_failed_here() -> None:
    world = comes()

    async def work(made: Moves) -> None:
        await arrive(world, made)
        beginning = asyncio.ensure_future(made.receive(ReceiveActor("begin", "c")))
        await asyncio.sleep(0)
        world.started.set_exception(ValueError("no"))
        with pytest.raises(Exception, match="no"):
            await beginning

    world.run(work)
    assert world.notes[-1].startswith(f"failed {UID} ValueError")


def test_it_begins_by_itself_when_its_former_node_is_gone_or_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "MOVE_GO_S", 0.01)
    for is_gone in (True, False):
        world = comes()

        async def work(made: Moves, world: World = world, is_gone: bool = is_gone) -> None:
            immigrant = await arrive(world, made)
            made.look("c", row(world, "n1"))  # it comes still
            assert not immigrant._is_free.done()
            if is_gone:
                del world.ports["n1"]
            made.look("c", row(world, "n2"))
            assert immigrant._is_free.done() is is_gone
            if not is_gone:
                await asyncio.wait_for(asyncio.wrap_future(immigrant._is_free), 10)
            world.started.set_result(None)

        world.run(work)


def test_one_that_stays_where_it_was_is_ended_here() -> None:
    world = World("n2")  # nothing says any more that it moves

    async def work(made: Moves) -> None:
        await arrive(world, made)
        made.look("c", row(world, "n1"))
        assert made.coming() == []
        world.started.set_result(None)

    world.run(work)
    assert world.notes[-2:] == ["departs True", f"stop {UID}"]

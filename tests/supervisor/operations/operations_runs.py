"""One operation in operations_world.py, in which somebody dies somewhere; and what must hold then.

The places are those of the workflows: `points(WORKFLOWS)`; none is written down here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from operations_world import CrashAt, Node, VirtualLoop, World, dangling, play

from zactor.client.gateway import encode_call
from zactor.kernel.errors import ZactorError
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.operations import (
    DeployActor,
    DeployActors,
    DestroyActor,
    UndeclareFactory,
    Unwire,
    Wire,
)
from zactor.supervisor.kb import facts as theory_facts
from zactor.supervisor.kb import orders
from zactor.supervisor.operations import workflows
from zactor.supervisor.operations.changes import Asked
from zactor.supervisor.operations.crash_points import points
from zactor.supervisor.operations.workflows import WORKFLOWS

ROLES = {"m1": "master", "m2": "master", "n1": "node", "n2": "node", "n3": "node"}
OWNER, HOST = "m1", "n1"  # who runs the operation first, and where its actor lives
BOUND_S = 2.0  # from the last death on
OPERATIONS = [workflow.name for workflow in WORKFLOWS]
ASKED = Asked("client", "r1")


# -- one run ---------------------------------------------------------------------------------
@dataclass
class Run:
    """What was asked of the owner, and what came of it."""

    world: World
    outcome: object = None  # what the client was told: a value, an error, None for nothing
    before: tuple[str, ...] = ()  # the facts before

    @property
    def end(self) -> Theory:
        """What all who live know at the end."""
        return self.world.live()[0].kb.theory


async def ask(node: Node, operation: str, name: str = "c1", asked: Asked = ASKED) -> object:
    changes, runner = node.changes, node.runner
    match operation:
        case "destroy":
            return await changes.destroy(DestroyActor(name, False, -1.0), asked)
        case "destroy_todo":
            return await changes.destroy(DestroyActor(name, True, -1.0), asked)
        case "react":
            return await changes.wire(Wire("c1", "g3", "inc", "fifo"), asked)
        case "remove":
            return await changes.unwire(Unwire("c1", "g1", "inc"), asked)
        case "deploy":
            deploy = DeployActor("counter", "new", HOST, encode_call((), {}))
            return await changes.deploy(deploy, asked)
        case "deploy_many":
            orders = [("new", HOST), ("other", "n2")]
            many = [
                DeployActor("counter", name, node, encode_call((), {})) for name, node in orders
            ]
            return await changes.deploy_many(DeployActors(tuple(many)), asked)
        case "declare_factory":
            factory = workflows.DeclareFactory(id="r1", type="gui", bundle="sha256:1")
            check = {"check": _nothing}
            return await runner.run(workflows.DECLARE_FACTORY, factory, who="client", calls=check)
        case "undeclare_factory":
            return await changes.undeclare_factory(UndeclareFactory("spare"), asked)
        case "declare_node":
            calls = {"find": _nothing, "name": _nothing}
            parameters = workflows.DeclareNode(name="n3")
            return await runner.run(workflows.DECLARE_NODE, parameters, who="client", calls=calls)
    raise AssertionError(operation)


async def _nothing() -> object:
    return None


async def _set_up(world: World) -> None:
    """c1 on n1; g1 on n2, g2 and g3 on n3; g1, g2 -> c1 -> g2."""
    m1 = world.nodes["m1"]
    kb = m1.kb
    await kb.until(lambda: len(theory_facts.nodes(kb.theory)) == len(ROLES) or None, 9.0)
    facts = ["factory(counter, 'sha256:0')", "factory(spare, 'sha256:2')"]
    for name, node in {"c1": HOST, "g1": "n2", "g2": "n3", "g3": "n3"}.items():
        facts += [
            f"actor({name}, counter, {node})",
            f"spec({name}, 'sha256:0', \"{{}}\", 'd_{name}')",
            f'state({name}, starting, "")',
        ]
        await m1.kb.commit("set up", who="test", assert_=facts)
        facts = []
    wires = ["reacts(c1, g1, inc, fifo)", "reacts(c1, g2, inc, fifo)", "reacts(g2, c1, up, fifo)"]
    await m1.kb.commit("set up", who="test", assert_=wires)
    await asyncio.sleep(1.0)
    assert {row.state for row in theory_facts.actors(m1.kb.theory)} == {"running"}


def run(
    operation: str,
    seed: int = 0,
    crashes: Callable[[list[World]], dict[str, CrashAt]] = lambda worlds: {},
    *,
    fails: bool = False,
    beside: Callable[[World], Coroutine[Any, Any, None]] | None = None,
) -> Run:
    """Set up, ask the owner, and wait until all is quiet."""

    async def story(loop: VirtualLoop) -> Run:
        worlds: list[World] = []
        world = World(loop, seed, ROLES, crashes(worlds))
        worlds.append(world)
        await _set_up(world)
        world.fails_to_stop = fails
        world.stillborn = {"new"} if fails else set()
        found = Run(world, before=tuple(world.head.texts()))

        async def asking() -> None:
            try:
                found.outcome = await ask(world.nodes[OWNER], operation)
            except ZactorError as error:
                found.outcome = error

        world.nodes[OWNER].spawn(asking())
        if beside is not None:
            world.nodes["m2"].spawn(beside(world))
        await world.settle()
        return found

    made: Run = play(story)
    return made


def _dies(worlds: list[World], point: str, victim: str, *, itself: bool) -> CrashAt:
    """`victim` dies when an operation is at `point`; `itself`: it is the one that runs it."""

    def kill() -> None:
        worlds[0].kill(victim)
        if itself:
            raise asyncio.CancelledError

    return CrashAt(point, 2, kill)


def _assignee(point: str) -> Callable[[list[World]], dict[str, CrashAt]]:
    """The assignee dies when the owner is at `point`."""

    def crashes(worlds: list[World]) -> dict[str, CrashAt]:
        def kill() -> None:
            clauses = theory_facts.todos(worlds[0].head)
            worlds[0].kill(clauses[0].assignee if clauses else "n2")

        return {OWNER: CrashAt(point, 2, kill)}

    return crashes


# -- what must hold --------------------------------------------------------------------------
def check(found: Run, operation: str) -> None:
    """Assert everything that must hold whoever died."""
    world, end = found.world, found.end
    for node in world.live():
        assert node.kb.theory.texts() == end.texts(), f"{node.me} knows something else"
    assert end.texts() == world.head.texts()
    assert dangling(end) == []
    assert theory_facts.todos(end) == []
    assert end.facts("errand", 4) == []
    assert not [row.name for row in theory_facts.actors(end) if row.state == "starting"]
    assert not [row.name for row in theory_facts.actors(end) if row.state == "stopping"]
    for stopped in {detail for _, _, kind, _, detail in world.told if kind == "on_stop"}:
        count = [detail for _, _, kind, _, detail in world.told if kind == "on_stop"]
        assert count.count(stopped) == 1, "on_stop ran once"
    for node in world.live():
        rows = theory_facts.actors(end, node.me.name)
        expected = {row.uid for row in rows if row.state == "running"}
        assert node.stage.alive == expected, f"what runs on {node.me} is what the theory says"
    quiet = _quiet_at(world)
    assert not world.died_at or quiet - world.died_at < BOUND_S, "in time"
    CHECKS[operation](found)


def _quiet_at(world: World) -> float:
    """When the last thing happened."""
    return max((at for at, *_ in world.told), default=0.0)


def _is_whole(found: Run, new: set[str], old: set[str]) -> bool:
    """Whether the facts `new` came and `old` went; else nothing of it may have happened."""
    now = set(found.end.texts())
    whole = new <= now and not old & now
    if not whole:
        gone = {name for name in ROLES if name not in theory_facts.nodes(found.end)}
        assert gone or isinstance(found.outcome, ZactorError), "nobody died, and it isn't done"
        assert not new & now, "half of it was done"
        lost = {text for text in old - now if not _went_along(text, gone)}
        assert not lost, "half of it was done"
    return whole


def _went_along(text: str, gone: set[str]) -> bool:
    return HOST in gone and "c1" in text


def _check_react(found: Run) -> None:
    _is_whole(found, {"reacts(c1,g3,inc,fifo)"}, set())


def _check_remove(found: Run) -> None:
    _is_whole(found, set(), {"reacts(c1,g1,inc,fifo)"})


def _check_factory(found: Run) -> None:
    _is_whole(found, {"factory(gui,'sha256:1')"}, set())


def _check_undeclared(found: Run) -> None:
    _is_whole(found, set(), {"factory(spare,'sha256:2')"})


def _check_node(found: Run) -> None:
    assert "n3" in theory_facts.nodes(found.end) or not found.world.nodes["n3"].alive


def _check_deploy(found: Run) -> None:
    row = theory_facts.actor(found.end, "new")
    assert row is None or row.state == "running", "it runs, or there is nothing of it"
    if row is None:
        about = [text for text in found.end.texts() if "new" in text]
        lost = orders.lost(found.end, "new")
        assert len(about) == (0 if lost is None else 2)
        assert lost is None or lost.node in {node for node in ROLES if _is_dead(found, node)}
        stillborn = bool(found.world.stillborn)
        assert stillborn or found.world.died_at, "nobody died, and it isn't there"


def _check_deploy_many(found: Run) -> None:
    _check_deploy(found)
    other = theory_facts.actor(found.end, "other")
    placed = [change for change in found.world.history if change.why.startswith("deployActor(")]
    if other is None:
        assert not placed or _is_dead(found, "n2")
    else:
        assert other.state == "running", "it runs, whatever became of those beside it"
        assert any('state(new,starting,"")' in change.asserted for change in placed)
    if isinstance(found.outcome, list):
        runs = {row["name"] for row in found.outcome if not row["error"]}
        lives = {name for name in ("new", "other") if theory_facts.actor(found.end, name)}
        assert lives <= runs or found.world.died_at
        assert runs <= lives or found.world.died_at


def _is_dead(found: Run, node: str) -> bool:
    return not found.world.nodes[node].alive


def _check_destroy(found: Run) -> None:
    world = found.world
    row = theory_facts.actor(found.end, "c1")
    told = any('state(c1,stopping,"")' in change.asserted for change in world.history)
    if not told and world.nodes[HOST].alive:
        assert row is not None, "nobody told it to stop"
        assert row.state == "running"
    elif world.nodes[HOST].alive:
        _is_at_its_end(found)


def _is_at_its_end(found: Run) -> None:
    row = theory_facts.actor(found.end, "c1")
    if found.world.fails_to_stop:
        assert row is not None, "what failed can be seen"
        assert (row.state, row.reason) == ("failed", "on_stop: RuntimeError: it fails in on_stop")
    else:
        assert row is None or row.deployment != "d_c1", "it is gone"
    wires = [w for w in theory_facts.wires(found.end) if "c1" in (w.reactor, w.emitter)]
    assert wires == [], "no reference is left"
    assert [kind for _, _, kind, _, _ in found.world.told].count("on_stop") == 1


def _check_todo(found: Run) -> None:
    world = found.world
    written = _first(world, lambda came, gone: any(text.startswith("todo(") for text in came))
    cleared = _first(world, lambda came, gone: any(text.startswith("errand(") for text in gone))
    if written is None:
        assert cleared is None
        texts = set(found.end.texts())
        assert {text for text in found.before if "c1" in text} <= texts or not _all_live(world)
        return
    assert cleared is not None, "the clause was written, so it has to go"
    assert orders.lost(found.end, "c1") is None, "what was to be destroyed isn't wanted back"
    if world.nodes[HOST].alive:
        _is_at_its_end(found)
        unwired = _first(world, lambda came, gone: any(t.startswith("reacts(") for t in gone))
        told = _first(world, lambda came, gone: 'state(c1,stopping,"")' in came)
        (ended,) = [count for _, count, kind, _, _ in world.told if kind == "on_stop"]
        assert unwired is not None
        assert told is not None
        order = [written, unwired, told, ended, cleared]
        assert order == sorted(order), "clause, references, work, end, clause"
        assert written < unwired < told <= ended < cleared
    _check_log(world)


def _check_log(world: World) -> None:
    """The clause before the first effect; done once; no step after done."""
    told = [(name, detail["state"]) for _, _, kind, name, detail in world.told if kind == "todo"]
    states = [state for _, state in told]
    assert states[0] == "pending"
    dones = states.count("done")
    # Who was to write it and dies in that very moment can't; the one that ran it may die.
    dead = [name for name, node in world.nodes.items() if not node.alive]
    assert dones == 1 or (dones == 0 and dead not in ([], [OWNER]))
    if dones:
        after = told[states.index("done") + 1 :]
        assert [name for name, _ in after if world.nodes[name].alive] == [], "no step after done"


def _first(world: World, fits: Callable[[tuple[str, ...], tuple[str, ...]], bool]) -> int | None:
    for number, change in enumerate(world.history, 1):
        if change.who != "test" and fits(change.asserted, change.retracted):
            return number
    return None


def _all_live(world: World) -> bool:
    return all(node.alive for node in world.nodes.values())


CHECKS: dict[str, Callable[[Run], None]] = {
    "declare_node": _check_node,
    "declare_factory": _check_factory,
    "undeclare_factory": _check_undeclared,
    "deploy": _check_deploy,
    "deploy_many": _check_deploy_many,
    "react": _check_react,
    "remove": _check_remove,
    "destroy": _check_destroy,
    "destroy_todo": _check_todo,
}


# -- every place -----------------------------------------------------------------------------
def places(operation: str) -> list[str]:
    return [point for point in points(WORKFLOWS) if point.startswith(f"{operation}:")]


def cases(operation: str) -> Iterator[tuple[str, Callable[[list[World]], dict[str, CrashAt]]]]:
    """Every place of an operation, with everyone who may die there."""
    yield "nobody", lambda worlds: {}
    for point in places(operation):
        yield f"owner at {point}", dying(point, OWNER)
        yield f"host when the owner is at {point}", dying(point, HOST)
        yield f"assignee when the owner is at {point}", _assignee(point)
        if operation == "destroy_todo":
            for later in places(operation):
                yield f"owner at {point}, runner at {later}", _dying_in_turn(point, later)
            yield f"owner and host at {point}", dying(point, OWNER, HOST)


def dying(point: str, *victims: str) -> Callable[[list[World]], dict[str, CrashAt]]:
    def crashes(worlds: list[World]) -> dict[str, CrashAt]:
        def kill() -> None:
            for victim in victims:
                worlds[0].kill(victim)
            if OWNER in victims:
                raise asyncio.CancelledError

        return {OWNER: CrashAt(point, 2, kill)}

    return crashes


def _dying_in_turn(point: str, later: str) -> Callable[[list[World]], dict[str, CrashAt]]:
    """The owner dies at `point`, and whoever goes on at `later`; the third lives."""

    def crashes(worlds: list[World]) -> dict[str, CrashAt]:
        made = {OWNER: _dies(worlds, point, OWNER, itself=True)}
        dead: list[str] = []

        def at(name: str) -> CrashAt:
            def kill() -> None:
                if not dead:
                    dead.append(name)
                    worlds[0].kill(name)
                    raise asyncio.CancelledError

            return CrashAt(later, 2, kill)

        return made | {name: at(name) for name in ROLES if name not in (OWNER, HOST)}

    return crashes


CAN_FAIL = ("deploy", "destroy", "destroy_todo")


def check_all(operation: str, seeds: Iterable[int]) -> int:
    """Check every case of an operation; return how many runs that were."""
    count = 0
    for name, crashes in cases(operation):
        for fails in (False, True) if operation in CAN_FAIL else (False,):
            for seed in seeds:
                try:
                    check(run(operation, seed, crashes, fails=fails), operation)
                except AssertionError as error:
                    raise AssertionError(f"{name}, {fails=}, {seed=}: {error}") from error
                count += 1
    return count

"""Runs for drained nodes and for groups that restart together, while nodes are cut off and die.

On the world of operations_world.py: one seed gives one run. What must hold is checked against the
story, what happened and when, and not against what the code remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from operations_world import Node, VirtualLoop, World, play

from zactor.client.gateway import encode_call
from zactor.kernel import limits
from zactor.kernel.errors import NoSuchThing, ZactorError
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import format_term
from zactor.kernel.messages.desired import DrainNode, ResumeNode
from zactor.kernel.messages.operations import DeployActor
from zactor.supervisor.kb import facts, node_marks, orders
from zactor.supervisor.kb.policies import Policy, Successor
from zactor.supervisor.kb.restart_groups import ONE_FOR_ALL, REST_FOR_ONE, RestartGroup
from zactor.supervisor.membership.departures import Departure
from zactor.supervisor.membership.members import out_of_reach, process_gone
from zactor.supervisor.operations.changes import Asked
from zactor.supervisor.operations.drain import Draining

ROLES = {"z1": "master", "n1": "node", "n2": "node", "n3": "node"}
HOSTS = ("n1", "n2", "n3")
# Where each may run, the first is where it begins; None: it has no policy.
PLACES: dict[str, tuple[str, ...]] = {
    "a": ("n1", "n2"),
    "b": ("n2",),
    "c": ("n3", "n1"),
    "d": ("n2", "n3"),
    "e": ("n1",),
}
NO_POLICY = "e"
GROUP = ("a", "b", "c")
WIRES = (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("e", "b"))
OFTEN = "9999 in 1s"  # nobody gives up
STEPS = 14
QUIET_S = 15.0  # groups wait for up to 5 s
WORKED_S = 6.0  # in which a group has restarted
LONG_S = 25.0  # in which silence counts


class SteadyWorld(World):
    """One in which silence proves nothing."""

    def departure(self, name: str) -> Departure:
        gone = not self.nodes[name].alive
        return Departure(why=process_gone(name) if gone else out_of_reach(name), is_missed=True)

    def kill(self, name: str) -> None:
        for uid in self.nodes[name].stage.alive if self.nodes[name].alive else ():
            self.tell("on_stop", str(uid), uid)
        super().kill(name)


class LongCutsWorld(SteadyWorld):
    """One in which nodes keep house, so that they notice how long they were cut off."""

    shortens_stops = True


@dataclass
class Story:
    """What was done to the cluster: (when, what, to whom)."""

    world: World
    group: RestartGroup
    places: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(PLACES))
    done: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, what: str, whom: str) -> None:
        self.done.append((self.world.loop.time(), what, whom))

    def whom(self, *what: str, since: float = -1.0) -> set[str]:
        return {whom for at, kind, whom in self.done if kind in what and at >= since}


def run(seed: int, *, quiet: bool = False) -> Story:
    """Play one. `quiet`: no node is cut off, dies or is drained, and each failure has its time."""

    async def tell(loop: VirtualLoop) -> Story:
        chance = random.Random(seed)
        world = SteadyWorld(loop, seed, ROLES, {})
        strategy = chance.choice((ONE_FOR_ALL, REST_FOR_ONE))
        story = Story(
            world,
            RestartGroup(file="lab", name="line", strategy=strategy, intensity=OFTEN, actors=GROUP),
        )
        await _begin(story, chance.choice((0.1, 0.6)))
        if quiet:
            for _ in range(3):
                _fail(story, chance.choice(GROUP))
                await world.settle(WORKED_S)
            check_order(story)
        else:
            await _trouble(story, chance)
        return story

    found: Story = play(tell)
    return found


async def _begin(story: Story, drain_s: float) -> None:
    world = story.world
    z1 = world.nodes["z1"]
    await world.settle(1.0)
    await z1.kb.commit("factory", who="test", assert_=("factory(counter, b)",))
    for name, on in PLACES.items():
        arguments = encode_call((), {})
        deploy = DeployActor(type="counter", name=name, node=on[0], arguments=arguments)
        await z1.changes.deploy(deploy, Asked("client", f"first {name}"))
    marks = [
        Policy(on=on, intensity=OFTEN, drain_s=drain_s).fact(name)
        for name, on in PLACES.items()
        if name != NO_POLICY
    ]
    marks += [f"reacts({reactor}, {emitter}, inc, fifo)" for emitter, reactor in WIRES]
    await z1.kb.commit("wish", who="test", assert_=(*marks, story.group.fact()))
    await world.settle(1.0)


async def _trouble(story: Story, chance: random.Random) -> None:
    world = story.world
    tasks: list[asyncio.Task[None]] = []
    for number in range(STEPS):
        tasks += _step(story, chance, number)
        await asyncio.sleep(chance.choice((0.001, 0.004, 0.05, 0.1, 0.5)))
    for name in HOSTS:
        world.heal(name)
    await world.settle(QUIET_S)
    for task in tasks:
        assert task.done(), "a drain ends"
    check_rest(story)
    z1 = world.nodes["z1"]
    for name in node_marks.drained(world.head):
        await Draining(z1.kb).resume(ResumeNode(name), Asked("client", f"last {name}"))  # type: ignore[arg-type]
    await world.settle(QUIET_S)
    check_rest(story)


def _step(story: Story, chance: random.Random, number: int) -> list[asyncio.Task[None]]:
    world = story.world
    node, asked = chance.choice(HOSTS), Asked("client", f"asked {number}")
    what = chance.choice(("cut", "cut", "heal", "kill", *("fail",) * 4, *("drain",) * 3, "resume"))
    away = [one for one in HOSTS if world.nodes[one].is_out or not world.nodes[one].alive]
    if what == "fail":
        _fail(story, chance.choice(tuple(PLACES)))
    elif what == "cut" and not away:
        story.note("cut", node)
        world.cut(node)
    elif what == "heal":
        world.heal(node)
    elif what == "kill" and not away and chance.random() < 0.5:
        story.note("killed", node)
        world.kill(node)
    elif what == "drain":
        story.note("drained", node)
        deadline_s = chance.choice((-1.0, 0.0, 0.05))
        return [world.loop.create_task(_drain(story, node, deadline_s, asked))]
    elif what == "resume":
        return [world.loop.create_task(_resume(story, node, asked))]
    return []


def _fail(story: Story, name: str) -> None:
    """An action of it raises, where it runs."""
    for node in story.world.live():
        here = node.reconciler.hosted(name)
        if here in node.stage.alive:
            story.note("failed", name)
            node.reconciler.on_failed(name, "it raised")


async def _drain(story: Story, node: str, deadline_s: float, asked: Asked) -> None:
    z1 = story.world.nodes["z1"]
    try:
        async with asyncio.timeout(QUIET_S / 2):
            await Draining(z1.kb).drain(DrainNode(node, deadline_s), asked)  # type: ignore[arg-type]
    except (ZactorError, TimeoutError):
        pass  # it was resumed, or its node went


async def _resume(story: Story, node: str, asked: Asked) -> None:
    with contextlib.suppress(NoSuchThing):
        await Draining(story.world.nodes["z1"].kb).resume(ResumeNode(node), asked)  # type: ignore[arg-type]


def run_cut_while_it_moves(
    seed: int, after_s: float, cut_s: float, *, dies: bool, drained: bool
) -> Story:
    """An actor of n1 is told to move to n2, and n1 is cut off so much later, for so long; or dies.

    Args: drained: since its node is; else a file says so.
    """

    async def tell(loop: VirtualLoop) -> Story:
        world = SteadyWorld(loop, seed, ROLES, {})
        group = RestartGroup(
            file="lab", name="line", strategy=ONE_FOR_ALL, intensity=OFTEN, actors=GROUP
        )
        story = Story(world, group)
        await _begin(story, 0.6)
        asked = Asked("client", "drain n1")
        moving = _drain(story, "n1", -1.0, asked) if drained else _move(world)
        moves = loop.create_task(moving)
        await asyncio.sleep(after_s)
        story.note("cut", "n1")
        (world.kill if dies else world.cut)("n1")
        await asyncio.sleep(cut_s)
        world.heal("n1")
        await world.settle(QUIET_S)
        await moves
        check_rest(story)
        row = facts.actor(world.head, "a")
        assert row is not None
        assert row.node == "n2", "it moved"
        return story

    found: Story = play(tell)
    return found


async def _move(world: World) -> None:
    """As `apply` does it."""
    new = Successor(
        name="a", type="counter", node="n2", bundle="b", arguments="{}", deployment="moved"
    )
    await world.nodes["z1"].kb.commit(
        "apply",
        who="test",
        require=(("state(a, running, _)", "NoSuchThing", "it doesn't run"),),
        retract=("state(a, _, _)",),
        assert_=('state(a, stopping, "drain 0.6")', new.fact()),
    )


def run_long_cuts(seed: int) -> Story:
    """Nodes are cut off for so long that silence counts, while files say who else may run what."""

    async def tell(loop: VirtualLoop) -> Story:
        chance = random.Random(seed)
        story = _long_cuts(loop, seed)
        world = story.world
        await _begin(story, chance.choice((0.1, LONG_S)))
        for number in range(STEPS):
            await _long_step(story, chance, number)
            await asyncio.sleep(chance.choice((0.002, 0.006, 0.05, 0.5, 5.0, 11.0, 14.0)))
        for name in HOSTS:
            world.heal(name)
        await world.settle(QUIET_S + 6 * LONG_S)  # a group stops one after the other
        check_rest(story)
        return story

    found: Story = play(tell)
    return found


def run_long_cut_while_it_moves(seed: int, after_s: float) -> Story:
    """An actor of n1 that has long to finish its work is told to move to n2; so much later n1 is
    cut off, until silence counts.
    """

    async def tell(loop: VirtualLoop) -> Story:
        story = _long_cuts(loop, seed)
        world = story.world
        await _begin(story, LONG_S)
        await _wish(world, "a", ("n2",), 0, moves=True)
        story.places["a"] = ("n2",)
        await asyncio.sleep(after_s)
        world.cut("n1")
        await asyncio.sleep(limits.SAFE_AFTER_S + 2.0)
        world.heal("n1")
        await world.settle(QUIET_S + LONG_S)
        check_rest(story)
        row = facts.actor(world.head, "a")
        assert row is not None
        assert row.node == "n2", "it moved"
        return story

    found: Story = play(tell)
    return found


def _long_cuts(loop: VirtualLoop, seed: int) -> Story:
    world = LongCutsWorld(loop, seed, ROLES, {})
    group = RestartGroup(
        file="lab", name="line", strategy=ONE_FOR_ALL, intensity=OFTEN, actors=GROUP
    )
    for node in world.nodes.values():
        node.spawn(_keep_house(node))
    return Story(world, group)


async def _keep_house(node: Node) -> None:
    while True:
        await asyncio.sleep(limits.HOUSEKEEPING_MS / 1000)
        node.reconciler.keep()


async def _long_step(story: Story, chance: random.Random, number: int) -> None:
    world = story.world
    node, name = chance.choice(HOSTS), chance.choice([n for n in PLACES if n != NO_POLICY])
    what = chance.choice(("cut", "cut", "cut", "heal", "heal", "fail", "wish", "wish", "move"))
    away = [one for one in HOSTS if world.nodes[one].is_out]
    if what == "cut" and not away:
        story.note("cut", node)
        world.cut(node)
    elif what == "heal":
        world.heal(node)
    elif what == "fail":
        _fail(story, name)
    elif what in ("wish", "move"):
        on = tuple(chance.sample(HOSTS, chance.choice((1, 2))))
        with contextlib.suppress(ZactorError):
            await _wish(world, name, on, number, moves=what == "move")
            story.places[name] = on


async def _wish(world: World, name: str, on: tuple[str, ...], number: int, *, moves: bool) -> None:
    """A file says that it may run there; if `moves`, it goes there, as `apply` does it."""
    new = Successor(
        name=name,
        type="counter",
        node=on[0],
        bundle="b",
        arguments="{}",
        deployment=f"moved {number} {name}",
    )
    drain = format_term(f"drain {LONG_S:g}")
    await world.nodes["z1"].kb.commit(
        "apply",
        who="test",
        require=((f"state({name}, running, _)", "NoSuchThing", "it doesn't run"),) * moves,
        retract=(f"policy({name}, _, _, _, _)", *(f"state({name}, _, _)",) * moves),
        assert_=(
            Policy(on=on, intensity=OFTEN, drain_s=LONG_S).fact(name),
            *(f"state({name}, stopping, {drain})", new.fact()) * moves,
        ),
    )


# -- what must hold --------------------------------------------------------------------------
def check_rest(story: Story) -> None:
    """All have come to rest: each runs where it may, and once; what can't is remembered."""
    world = story.world
    theory = world.head
    drained = node_marks.drained(theory)
    hosts = [node for node in world.live() if node.me.name in HOSTS]
    for node in hosts:
        me = node.me.name
        assert node.kb.theory.texts() == theory.texts(), f"{me} knows something else"
        rows = facts.actors(theory, me)
        assert {row.state for row in rows} <= {"running"}, f"not at rest: {rows}"
        assert node.stage.alive == {row.uid for row in rows}, f"what runs on {me} is what is said"
        assert not (rows and me in drained), f"{me} is drained, and has {rows}"
    usable = {node.me.name for node in hosts} - set(drained)
    for name, on in story.places.items():
        row, lost = facts.actor(theory, name), orders.lost(theory, name)
        assert (row is None) != (lost is None), f"{name} is forgotten, or lost and there"
        if lost is not None and name != NO_POLICY:
            assert not usable.intersection(on), f"{name} is lost, and might run"
    for functor, arity in (("aside", 2), ("regroup", 6), ("next", 6)):
        assert not theory.facts(functor, arity), f"a {functor} is left"
    _check_wires(theory)
    _check_once(story)
    _check_restarted(story)


def _check_wires(theory: Theory) -> None:
    """A wire is up if both ends are there, else down."""
    there = {row.name for row in facts.actors(theory)}
    up = {(wire.emitter, wire.reactor) for wire in facts.wires(theory)}
    down = {(wire.emitter, wire.reactor) for wire, _ in orders.down(theory)}
    for wire in WIRES:
        assert (wire in up, wire in down) == (there.issuperset(wire), not there.issuperset(wire)), (
            f"{wire} is {'up' if wire in up else 'down' if wire in down else 'gone'}"
        )


def _check_once(story: Story) -> None:
    """No name ever ran twice."""
    names: dict[int, str] = {}
    running: dict[str, int] = {}
    for at, _, kind, name, uid in story.world.told:
        if kind == "up":
            assert name not in running, f"{name} began at {at:.3f} while it ran"
            names[uid], running[name] = name, uid
        elif kind == "on_stop":
            assert running.pop(names[uid]) == uid


def _ups(story: Story, since: float, kind: str = "up") -> list[str]:
    names = {uid: name for _, _, what, name, uid in story.world.told if what == "up"}
    return [names[uid] for at, _, what, _, uid in story.world.told if what == kind and at > since]


def _failures(story: Story) -> Iterator[tuple[float, str]]:
    """When the network was told that somebody of the group failed, and who."""
    for at, _, kind, _, why in story.world.told:
        name, _, rest = str(why).partition(" failed: ")
        if kind == "change" and name in GROUP and rest == "it raised":
            yield at, name


def _affected(story: Story, failed: str) -> tuple[str, ...]:
    every = story.group.strategy == ONE_FOR_ALL
    return GROUP if every else GROUP[GROUP.index(failed) :]


def _check_restarted(story: Story) -> None:
    """Who is affected by a failure began anew after it, if it runs, and its node wasn't away."""
    theory = story.world.head
    for at, failed in _failures(story):
        begun = _ups(story, at)
        for name in _affected(story, failed):
            row = facts.actor(theory, name)
            if row is not None and not story.whom("cut", "killed"):
                assert name in begun, f"{name} didn't restart with {failed}"


def check_order(story: Story) -> None:
    """Nothing else happened: all that is affected stopped in reverse, and started in order."""
    failures = list(_failures(story))
    assert len(failures) == 3
    ends = [at for at, _ in failures[1:]] + [story.world.loop.time()]
    for (at, failed), end in zip(failures, ends, strict=True):
        affected = _affected(story, failed)
        later = _ups(story, end)
        started, stopped = _ups(story, at), _ups(story, at, "on_stop")
        started = started[: len(started) - len(later)]
        assert tuple(started) == affected, f"{started} started after {failed} failed"
        others = [name for name in reversed(affected) if name != failed]
        assert stopped[: len(others)] == others, f"{stopped} stopped after {failed} failed"
    check_rest(story)


def check_all(seeds: Iterable[int]) -> int:
    """Check these seeds, a quiet one and one with trouble each; return how many were restarted."""
    count = 0
    for seed in seeds:
        for quiet in (True, False):
            try:
                story = run(seed, quiet=quiet)
            except AssertionError as error:
                raise AssertionError(f"{seed=} {quiet=}: {error}") from error
            count += len(list(_failures(story)))
    return count


def check_long_cuts(seeds: Iterable[int]) -> None:
    """Check these seeds."""
    for seed in seeds:
        try:
            run_long_cuts(seed)
        except AssertionError as error:
            raise AssertionError(f"{seed=}: {error}") from error


def check_long_moves() -> None:
    """Check that a move is one move, though its node is away for long while the actor works."""
    for seed, after_s in enumerate((0.0, 0.004, 0.02, 0.2, 1.0, 10.0)):
        try:
            run_long_cut_while_it_moves(seed, after_s)
        except AssertionError as error:
            raise AssertionError(f"{after_s=}: {error}") from error


def check_moves() -> None:
    """Check that a move is one move, however soon after it began its node is away."""
    awhile, aways = (0.0, 0.004, 0.02, 0.2, 0.55, 0.7), ((0.1, False), (1.0, False), (1.0, True))
    every = itertools.product(awhile, aways, (True, False))
    for seed, (after_s, (cut_s, dies), drained) in enumerate(every):
        try:
            run_cut_while_it_moves(seed, after_s, cut_s, dies=dies, drained=drained)
        except AssertionError as error:
            words = f"{after_s=} {cut_s=} {dies=} {drained=}: {error}"
            raise AssertionError(words) from error

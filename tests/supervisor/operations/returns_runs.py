"""Runs for PROTOCOL.md R3: nodes are cut off, go on, and come back, while others work with theirs.

On the world of operations_world.py: one seed gives one run. What must hold is checked against the
story, what was asked for and when, and not against what the code remembers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from operations_world import VirtualLoop, World, play

from zactor.client.gateway import encode_call
from zactor.kernel.errors import AlreadyExists, NoSuchThing, ZactorError
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.operations import DeployActor, DestroyActor, ForgetNode, RestoreActors
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.operations.changes import Asked

ROLES = {"z1": "master", "n1": "node", "n2": "node", "n3": "node"}
HOSTS = ("n1", "n2", "n3")
# The console is the last by name, so that each of the others may act for the cluster.
PLACES = {"a1": "n1", "b1": "n1", "a2": "n2", "b2": "n2", "a3": "n3", "b3": "n3"}
WIRES = (("a1", "b1"), ("a1", "b2"), ("b2", "a3"), ("a3", "b3"), ("a2", "b3"), ("b3", "a1"))
STEPS = 12
QUIET_S = 6.0


@dataclass
class Story:
    """What was done to the cluster: (when, what, to whom)."""

    world: World
    done: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, what: str, whom: str) -> tuple[float, str, str]:
        self.done.append((self.world.loop.time(), what, whom))
        return self.done[-1]

    def asked_for(self, name: str) -> list[tuple[float, str]]:
        return [(at, what) for at, what, whom in self.done if whom == name]


def run(seed: int) -> Story:
    """Play one."""

    async def tell(loop: VirtualLoop) -> Story:
        world = World(loop, seed, ROLES, {})
        story = Story(world)
        chance = random.Random(seed)
        await _begin(world)
        pending: list[asyncio.Task[None]] = []
        for number in range(STEPS):
            pending += _step(story, chance, number)
            await asyncio.sleep(chance.choice((0.001, 0.004, 0.05, 0.1, 0.5)))
        for name in HOSTS:
            world.heal(name)
        await world.settle(QUIET_S)
        for task in pending:
            assert task.done(), "an operation ends"
        return story

    found: Story = play(tell)
    return found


async def _begin(world: World) -> None:
    """Six actors and their wires."""
    z1 = world.nodes["z1"]
    await world.settle(1.0)
    await z1.kb.commit("factory", who="test", assert_=("factory(counter, b)",))
    for name, node in PLACES.items():
        await z1.changes.deploy(_deploy(name, node), Asked("client", f"first {name}"))
    for reactor, emitter in WIRES:
        fact = f"reacts({reactor}, {emitter}, inc, fifo)"
        await z1.kb.commit("wire", who="test", assert_=(fact,))


def _deploy(name: str, node: str) -> DeployActor:
    return DeployActor(type="counter", name=name, node=node, arguments=encode_call((), {}))


def _step(story: Story, chance: random.Random, number: int) -> list[asyncio.Task[None]]:
    world = story.world
    what = chance.choice(("cut", "cut", "cut", "heal", "heal", "kill", "end", *_ASKS))
    node, name = chance.choice(HOSTS), chance.choice(tuple(PLACES))
    out = [one for one in HOSTS if world.nodes[one].is_out or not world.nodes[one].alive]
    if what == "cut":
        if len(out) < len(HOSTS) - 1:
            world.cut(node)
    elif what == "heal":
        world.heal(node)
    elif what == "kill":
        if chance.random() < 0.3 and not [one for one in out if not world.nodes[one].alive]:
            world.kill(node)
    elif what == "end":
        for uid in world.end_one(name):
            story.note(f"ended {uid}", name)
    else:
        return [world.loop.create_task(_ask(story, what, name, node, f"{number}"))]
    return []


_ASKS = ("destroy", "destroy_todo", "deploy", "restore", "restore", "forget")


async def _ask(story: Story, what: str, name: str, node: str, id_: str) -> None:
    """Have z1 do it; what was refused for certain is no cause of anything."""
    world, noted = story.world, story.note(what, name)
    z1, asked = world.nodes["z1"], Asked("client", f"asked {id_}")
    try:
        async with asyncio.timeout(QUIET_S):
            if what.startswith("destroy"):
                todo = what.endswith("todo")
                await z1.changes.destroy(DestroyActor(name=name, todo=todo, drain_s=-1.0), asked)
            elif what == "deploy":
                await z1.changes.deploy(_deploy(name, node), asked)
            elif what == "restore":
                await z1.changes.restore(RestoreActors(names=(name,), node=node), asked)
            else:
                said = await z1.ways_out.forget(ForgetNode(node=name, i_know=False), "client")
                if cast("dict[str, object]", said)["forgot"] is None:
                    story.done.remove(noted)
    except (NoSuchThing, AlreadyExists):
        story.done.remove(noted)
    except (ZactorError, TimeoutError):
        pass


# -- what must hold --------------------------------------------------------------------------
def check(story: Story) -> None:
    """Assert PROTOCOL.md R1 to R6."""
    world = story.world
    theory = world.head
    assert not world.broken, world.broken
    for node in world.live():
        assert node.kb.theory.texts() == theory.texts(), f"{node.me} knows something else"
        rows = facts.actors(theory, node.me.name)
        assert {row.state for row in rows} <= {"running"}, "all have come to rest"
        running = {row.uid for row in rows}
        assert node.stage.alive == running, f"what runs on {node.me} is what the theory says"
    _check_ends(story)
    _check_lost(story, theory)
    _check_wires(story, theory)


def _check_ends(story: Story) -> None:
    """Nobody ends who wasn't destroyed, forgotten or replaced, or ended by itself."""
    names = {uid: name for _, _, kind, name, uid in story.world.told if kind == "up"}
    for at, _, kind, _, uid in story.world.told:
        if kind == "on_stop":
            causes = [(when, what) for when, what in story.asked_for(names[uid]) if when <= at]
            assert causes, f"{names[uid]} ended at {at:.3f} and nobody had asked for it"
    for number in names:
        ups = [1 for _, _, kind, _, uid in story.world.told if kind == "up" and uid == number]
        assert len(ups) == 1, f"{names[number]} was made twice in one incarnation"
    for at, what, name in story.done:
        if what.startswith("ended "):
            again = [
                when
                for when, _, kind, who, uid in story.world.told
                if kind == "up" and who == name and when > at and uid == int(what[6:])
            ]
            assert not again, f"{name} ended by itself and was made again"


def _check_lost(story: Story, theory: Theory) -> None:
    world = story.world
    for row in orders.all_lost(theory):
        assert facts.actor(theory, row.name) is None, f"{row.name} is lost and there"
        assert not world.nodes[row.node].alive, f"{row.name} is lost, and its node lives"
    for name in PLACES:
        if not story.asked_for(name):
            row, lost = facts.actor(theory, name), orders.lost(theory, name)
            assert row is not None or lost is not None, f"nobody knows of {name} any more"
    assert theory.facts("errand", 4) == []


def _check_wires(story: Story, theory: Theory) -> None:
    """A wire is up if both ends are there, down if one is lost, and else there is none."""
    up = {(wire.reactor, wire.emitter) for wire in facts.wires(theory)}
    down = {(wire.reactor, wire.emitter) for wire, _ in orders.down(theory)}
    there = {row.name for row in facts.actors(theory)}
    lost = {row.name for row in orders.all_lost(theory)}
    assert up <= {(one, other) for one in there for other in there}, "a wire to nobody"
    assert all({*wire} & lost for wire in down), "a wire is down and neither of its ends is lost"
    for wire in WIRES:
        touched = [what for end in wire for _, what in story.asked_for(end)]
        if not touched:
            assert wire in (down if {*wire} & lost else up), f"{wire} is missing"


def check_all(seeds: Iterable[int]) -> int:
    """Check these seeds; return how many actors were taken back in them."""
    count = 0
    for seed in seeds:
        story = run(seed)
        try:
            check(story)
        except AssertionError as error:
            raise AssertionError(f"{seed=}: {error}") from error
        count += sum("is back with its actors" in change.why for change in story.world.history)
    return count

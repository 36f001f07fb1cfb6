"""The end of a run: whoever can return does, nothing more is lost, and changes must be taken."""

from __future__ import annotations

from collections.abc import Collection

from zactor.kernel import limits
from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication.losses import Losses
from zactor.kernel.replication.records import PutAttempt
from zactor.kernel.replication.voting import decides
from zactor.testing.quorum import undecided
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.order import ALL
from zactor.testing.replica_sim.world import World

_STEPS_MAX = 20_000
_TICK_MS = 100


def rest(world: World) -> bool:
    """Go on without trouble until nothing moves; False if it never comes to rest."""
    for _ in range(_STEPS_MAX):
        action = world.default()
        if action is None:
            return True
        world.do(action)
    return False


def _run_out(world: World, names: Collection[str]) -> list[str]:
    """Some disks fill, and have room again; return the changes that took place meanwhile.

    Those who decide without them go on, at once, and else all are refused; nobody ends by it.
    """
    replica = world.nodes[min(names)].replica
    primary = replica.primary if replica is not None else None
    if primary is None or {*primary.members} != {*names}:
        return []
    # By the number of the primary, since chance is the adversary's.
    full = [name for at, name in enumerate(sorted(names)) if (primary.epoch >> at) & 1]
    able = [name for name in names if name not in full]
    for name in full:
        world.do(Action("fill", name))
    done = _ask(world, names, "wake")  # it is seen when somebody writes
    must_work = decides(primary, able)
    first = _ask(world, able, "cramped")
    if bool(full) and not must_work and first:
        world.judge.complain("K7 durable", f"{first} took place though {full} have no room")
    if must_work and len(first) < len(able):
        world.judge.complain("liveness", f"{able} don't go on while {full} have no room")
    for name in full:
        world.do(Action("room", name))
    rest(world)
    last = _ask(world, names, "roomy")
    if len(last) < len(names):
        world.judge.complain("liveness", f"only {last} take place though {full} have room again")
    return [*done, *first, *last]


def _ask(world: World, names: Collection[str], what: str) -> list[str]:
    """Have a change asked for at each of these; return those that took place."""
    for name in names:
        world.do(Action("submit", name, f"{what}_{name}"))
    rest(world)
    for _ in range(2):  # who isn't in the primary refuses after some time
        for name in names:
            world.do(Action("tick", name, count=limits.KB_REFUSE_MS))
        rest(world)
    asked = world.judge.asked
    return [id_ for id_ in (f"{what}_{name}" for name in names) if asked[id_].ended == ""]


def heal(world: World, gone: Collection[str] = ()) -> None:
    """Bring all back but `gone`, ask for changes everywhere, and judge the end."""
    names = tuple(name for name in world.names if name not in gone)
    for name in gone:
        world.do(Action("crash", name))
    for name in world.names:
        world.do(Action("room", name))
    for name in names:
        if world.nodes[name].is_leaving:  # who wants to stop does, and starts anew
            world.do(Action("crash", name, count=ALL))
        world.do(Action("start", name))
        world.do(Action("unmute", name))
        world.do(Action("begin", name))
    must_work = _can_work(world, names)
    world.do(Action("view", names=names))
    if not rest(world):
        world.judge.complain("liveness", "it never comes to rest")
    must_work = _forget(world, names, gone) or must_work
    for name in names:
        world.do(Action("found", name))
        rest(world)
    probes = {f"probe_{name}": name for name in names if _is_up(world, name)}
    for id_, name in probes.items():
        world.do(Action("submit", name, id_))
    rest(world)
    for name in names:
        world.do(Action("tick", name, count=_TICK_MS))
    rest(world)
    asked = world.judge.asked
    done = [id_ for id_ in probes if asked[id_].ended == ""]
    if must_work:
        for id_ in sorted(set(probes) - set(done)):
            why = asked[id_].ended or "nothing"
            world.judge.complain("liveness", f"{id_} ends as {why}, though enough are back")
    if done and len(done) == len(probes):
        done = [*done, *_run_out(world, probes.values())]
        probes |= dict.fromkeys(done, "")
    facts = {}
    for name in names:
        replica = world.nodes[name].replica
        if replica is not None:
            facts[name] = (replica.digest, tuple(replica.theory.texts()))
    world.judge.at_end(facts, is_live=bool(done) and len(done) == len(probes))


def _forget(world: World, names: Collection[str], gone: Collection[str]) -> bool:
    """Have an operator say who is gone for good, as far as that blocks; whether it must help.

    All who live are in the view, so nobody else can have gone on with those who are gone.
    """
    was_said = False
    for name in names:
        losses = _losses(world, name)
        if losses is None or not losses.missing:
            continue
        for one in gone:  # whoever of them is named: an operator knows of all
            world.judge.forgets(one, is_up=False)
        dead = [one for one in losses.missing if one in gone or one in losses.here]
        for one in dead:
            world.do(Action("forget", name, one))
            rest(world)
        left = _losses(world, name)
        if left is not None and left.missing and {*dead} == {*losses.missing}:
            world.judge.complain("liveness", f"{name} waits for {left.missing}, who are forgotten")
        was_said = was_said or (bool(dead) and left is None)
    return was_said and all(_losses(world, name) is None for name in names)


def _losses(world: World, name: str) -> Losses | None:
    replica = world.nodes[name].replica
    return replica.losses() if replica is not None else None


def _is_up(world: World, name: str) -> bool:
    return world.nodes[name].replica is not None


def _can_work(world: World, names: Collection[str]) -> bool:
    """Whether those who are back, by what their disks say, are enough by P2.

    Who lost its disk has no vote; where clusters were founded apart nothing is promised here.
    """
    formed: list[Primary] = []
    attempts: set[Primary] = set()
    voters: set[str] = set()
    for name in names:
        journal = world.nodes[name].journal
        kept = journal.load()
        waiting = [one for _, _, put in journal.waiting for one in put]
        recorded = [one.primary for one in waiting if isinstance(one, PutAttempt)]
        if kept.formed is not None:
            formed.append(kept.formed)
        # What a new disk has recorded counts once it was formed: till then it may come to nothing.
        may_count = not world.nodes[name].has_lost_disk and bool(kept.attempts or recorded)
        if kept.formed is not None or may_count:
            voters.add(name)
        attempts |= {*kept.attempts, *recorded}
    if len({one.founding for one in (*formed, *attempts)}) > 1:
        return False
    last = max(formed, default=None)
    if last is None:
        has_lost = any(world.nodes[name].has_lost_disk for name in names)
        return len(names) == len(world.names) and not has_lost
    return undecided(formed, attempts, voters) is None

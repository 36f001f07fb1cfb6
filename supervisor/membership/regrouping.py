"""Regrouping: a group of actors is restarted together, since one of them failed or was lost.

Pure, but for the count of restarts. The acting node takes one step after the other: they stop in
the reverse order of the file, one at a time, and start in its order, each when the one before runs.
Whoever fails more often than the intensity of the group allows has all that is affected failed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import format_term, quote_atom
from zactor.supervisor.kb import facts, orders, policies, restart_groups
from zactor.supervisor.kb.fact_patterns import Requirement
from zactor.supervisor.kb.facts import NodeRow
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.kb.policies import (
    PERMANENT,
    Policy,
    Successor,
    born_fact,
    start_facts,
)
from zactor.supervisor.kb.restart_groups import GIVE_UP, LOST, START, STOP, Regroup, RestartGroup
from zactor.supervisor.kb.restarts import GiveUp, Restarts, StartAgain
from zactor.supervisor.membership.departures import Sweep
from zactor.supervisor.membership.setting_aside import set_aside

Place = Callable[[LostRow], NodeRow | None]
"""Where a lost actor may be placed now; None: nowhere."""


class GroupRestarts:
    """Counts how often groups were restarted, for as long as this node acts for the network."""

    def __init__(self) -> None:
        """None was."""
        self._restarts = Restarts()
        self._judged: dict[Clock, str] = {}  # what was decided, by the fact that asked for it
        self._due: dict[str, float] = {}  # group -> when it may start

    def forget(self) -> None:
        """This node acts no more."""
        self.__init__()  # type: ignore[misc]

    def verdict(self, group: RestartGroup, regroup: Regroup, now_s: float) -> str:
        """Return the reason for which a group has failed; "": it is started again."""
        if regroup.cause == LOST:  # with its node: nobody did anything wrong
            return ""
        if regroup.since not in self._judged:
            policy = Policy(restart=PERMANENT, intensity=group.intensity)
            found = self._restarts.judge(group.key, policy, now_s, regroup.why, is_failure=True)
            reason = ""
            if isinstance(found, GiveUp):
                reason = f"group {group.name} of {group.file}: {found.reason}"
            elif isinstance(found, StartAgain):
                self._due[group.key] = now_s + found.wait_s
            self._judged = {regroup.since: reason}
        return self._judged[regroup.since]

    def left_s(self, group: RestartGroup, now_s: float) -> float:
        """Return in how many s a group may start; 0: now."""
        return max(0.0, self._due.get(group.key, 0.0) - now_s)


@dataclasses.dataclass(frozen=True, slots=True)
class WaitToStart:
    """A group starts in a while."""

    wait_s: float


def next_step(
    theory: Theory, place: Place, restarts: GroupRestarts, now_s: float
) -> Sweep | WaitToStart | None:
    """Return what is to be committed next; None: nothing is, or an actor stops or starts."""
    if not restart_groups.is_any(theory):
        return None
    known = {(group.file, group.name): group for group in restart_groups.groups(theory)}
    waits: list[WaitToStart] = []
    asked: dict[tuple[str, str], list[Regroup]] = {}
    for regroup in restart_groups.regroups(theory):
        asked.setdefault((regroup.file, regroup.group), []).append(regroup)
    for key, regroups in asked.items():
        group, regroup = known.get(key), regroups[0]
        if group is None:
            return _end(regroup, f"there is no group {regroup.group} any more")
        # Several may have failed: who is affected by one of them is, and counts once.
        names = max((group.affected(each.actor) for each in regroups), key=len)
        step = _step(theory, group, regroups, names, place, restarts, now_s)
        if isinstance(step, Sweep):
            return step
        if step is not None:
            waits.append(step)
    return min(waits, key=lambda each: each.wait_s, default=None)


def begin(theory: Theory, row: LostRow) -> Sweep | None:
    """Return how the group of a lost actor begins to be restarted; None: it is in none."""
    group = restart_groups.of(theory, row.name)
    if group is None:
        return None
    regroup = Regroup(
        file=group.file,
        group=group.name,
        actor=row.name,
        cause=LOST,
        why=f"{row.name} was lost with {row.node}",
        phase=STOP,
        since=row.since,
    )
    return Sweep(
        why=_because(regroup),
        require=(
            orders.still_lost(row),
            (group.fact(), "NoSuchThing", f"{group.name} is another group now"),
            (f"\\+ {regroup.pattern()}", "AlreadyExists", f"{group.name} is restarted already"),
        ),
        assert_=(regroup.fact(),),
    )


def _because(regroup: Regroup) -> str:
    return f"because {regroup.why}: group {regroup.group} of {regroup.file} restarts"


def _step(
    theory: Theory,
    group: RestartGroup,
    regroups: Sequence[Regroup],
    names: tuple[str, ...],
    place: Place,
    restarts: GroupRestarts,
    now_s: float,
) -> Sweep | WaitToStart | None:
    regroup = regroups[0]
    rows = {name: facts.actor(theory, name) for name in names}
    if regroup.phase == STOP:
        for name in reversed(names):
            row = rows[name]
            if row is not None and row.state == "stopping":
                return None
            if row is not None:
                return set_aside(theory, [row], why=regroup.why, require=_still(regroup))
        reason = restarts.verdict(group, regroup, now_s)
        then = dataclasses.replace(regroup, actor=names[0], phase=GIVE_UP if reason else START)
        if reason:
            then = dataclasses.replace(then, why=reason)
        return Sweep(
            why=_because(regroup) if not reason else f"{reason}: it has failed",
            require=(_still(regroup),),
            # Who fails just now isn't among them: the group restarts for that one too, afterwards.
            retract=tuple(each.fact() for each in regroups),
            assert_=(then.fact(),),
        )
    if regroup.phase == GIVE_UP:
        return _fail(theory, regroup, names)
    if left_s := restarts.left_s(group, now_s):
        return WaitToStart(left_s)
    for name in names:
        row, lost = rows[name], orders.lost(theory, name)
        if row is not None and row.state in ("starting", "stopping"):
            return None
        node = place(lost) if row is None and lost is not None else None
        if lost is not None and node is not None:
            return _start(theory, regroup, lost, node)
    return _end(regroup, _because(regroup))


def _still(regroup: Regroup) -> Requirement:
    return regroup.fact(), "NoSuchThing", f"{regroup.group} is restarted otherwise"


def _end(regroup: Regroup, why: str) -> Sweep:
    return Sweep(why=f"{why}: done", require=(_still(regroup),), retract=(regroup.fact(),))


def _start(theory: Theory, regroup: Regroup, row: LostRow, node: NodeRow) -> Sweep:
    name, where = quote_atom(row.name), quote_atom(node.name)
    new = Successor(
        name=row.name,
        type=row.type,
        node=node.name,
        bundle=facts.factory(theory, row.type) or row.bundle,
        arguments=row.arguments,
        deployment=f"regroup {regroup.since} {row.name}",  # the same whoever does it
    )
    return Sweep(
        why=f"{_because(regroup)}: {row.name} on {node.name}",
        require=(
            _still(regroup),
            orders.still_lost(row),
            (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{row.name} is another now"),
            (f"incarnation({where}, {node.incarnation})", "NoSuchThing", f"{node.name} went"),
        ),
        retract=orders.lost_patterns(row.name),
        assert_=new.begins(policies.policy(theory, row.name)),
    )


def _fail(theory: Theory, regroup: Regroup, names: tuple[str, ...]) -> Sweep:
    """Return how all that was stopped has failed; whose node isn't there is lost still."""
    require: list[Requirement] = [_still(regroup)]
    retract, assert_ = [regroup.fact()], list[str]()
    for row in _lost_here(theory, names):
        deployment = f"regroup {regroup.since} {row.name}"
        name = quote_atom(row.name)
        require += [
            orders.still_lost(row),
            (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{row.name} is another now"),
            (f"node({quote_atom(row.node)}, _)", "NoSuchThing", f"{row.node} went"),
        ]
        retract += orders.lost_patterns(row.name)
        actor, spec, _ = start_facts(
            row.name, row.type, row.node, row.bundle, row.arguments, deployment
        )
        failed = f"state({name}, failed, {format_term(regroup.why)})"
        assert_ += [actor, spec, failed, born_fact(row.name, deployment)]
    return Sweep(
        why=f"{regroup.why}: {', '.join(names)} failed",
        require=tuple(require),
        retract=tuple(retract),
        assert_=tuple(assert_),
    )


def _lost_here(theory: Theory, names: tuple[str, ...]) -> Iterator[LostRow]:
    known = facts.nodes(theory)
    for name in names:
        row = orders.lost(theory, name)
        if row is not None and row.node in known:
            yield row

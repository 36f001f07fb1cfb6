"""Deploy: one actor, or many that are placed by one change, as workflows: see workflow.py. Pure.

Once an actor is placed, its node brings it to its end whoever dies: ARCHITECTURE.md tells how, in
"The way of one deployment".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts, node_marks, orders
from zactor.supervisor.kb.fact_patterns import (
    TOO_LATE,
    actor_patterns,
    down_patterns,
    forget_patterns,
    still,
    wanted_patterns,
)
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.kb.policies import Policy, born_fact, start_facts
from zactor.supervisor.operations.workflow import (
    Effect,
    PeerCall,
    Step,
    Transact,
    Wait,
    Workflow,
)

START_TIMEOUT_S = 60.0  # an actor may load large libraries
PLACED_AT_ONCE = 256  # actors by one change: 250 KiB beside their arguments …
PLACED_CHARS_AT_ONCE = 256 << 10  # … and so much of those, or one actor's


# -- deploy ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """deployActor."""

    id: str  # of the deployment, and of the transaction
    type: str
    name: str
    node: str
    bundle: str
    arguments: str  # as text, see constructor_arguments.py
    lost: LostRow | None = None  # what it was, where it is restored
    policy: Policy | None = None  # of a new one; a restored one keeps what it had
    installs: bool = False  # what its bundle wants is installed where it runs


def _check(parameters: Deploy, theory: Theory) -> Effect | None:
    return None if _deployed(parameters, theory) else PeerCall(name="check")


def _place(parameters: Deploy, theory: Theory) -> Effect:
    return _placing(parameters)


def _placing(parameters: Deploy) -> Transact:
    name, node, lost = quote_atom(parameters.name), quote_atom(parameters.node), parameters.lost
    said = f"{parameters.type}, {parameters.name}, {parameters.node}"
    return Transact(
        id=parameters.id,
        why=f"deployActor({said})" if lost is None else f"restore({said})",
        require=(
            (
                f"\\+ actor({name}, _, _)",
                "AlreadyExists",
                f"actor {parameters.name} exists already",
            ),
            (f"node({node}, _)", "NoSuchThing", f"node {parameters.node} is gone"),
            (
                f"\\+ {node_marks.drained_fact(parameters.node)}",
                "Refused",
                node_marks.drained_words(parameters.node),
            ),
            *((orders.still_lost(lost),) if lost is not None else ()),
        ),
        # What was lost under that name is ordered anew; its wires only if it is restored.
        retract=(
            *orders.lost_patterns(parameters.name),
            *(_stale_patterns(parameters.name) if lost is None else ()),
        ),
        assert_=(
            *start_facts(
                parameters.name,
                parameters.type,
                parameters.node,
                parameters.bundle,
                parameters.arguments,
                parameters.id,
            ),
            *((parameters.policy.fact(parameters.name),) if parameters.policy else ()),
            *((facts.installs_fact(parameters.name),) if parameters.installs else ()),
        ),
    )


def _stale_patterns(name: str) -> tuple[str, ...]:
    return *down_patterns(name), *wanted_patterns(name)


def _start(parameters: Deploy, theory: Theory) -> Effect:
    late = (
        f"{parameters.name} has not started on {parameters.node} for {START_TIMEOUT_S:g} s; "
        "it still may"
    )
    return Wait(over=_start_over(parameters), limit_s=START_TIMEOUT_S, late=late)


def _start_over(parameters: Deploy) -> Callable[[Theory], tuple[ActorRow | None] | None]:
    def over(now: Theory) -> tuple[ActorRow | None] | None:
        row = _deployed(parameters, now)
        if row is None or row.state == "stopping":
            return (None,)
        return None if row.state == "starting" else (row,)

    return over


def _undo(parameters: Deploy, theory: Theory) -> Effect | None:
    row = _deployed(parameters, theory)
    if row is None or row.state != "failed":
        return None
    lost = parameters.lost
    retract, assert_ = forget_patterns(parameters.name), tuple[str, ...]()
    if lost is not None:  # it is lost as before, its wires are down still
        retract = actor_patterns(lost.name)
        assert_ = orders.lost_facts(lost, lost.life, lost.reason)
    return Transact(
        why=f"deployActor({parameters.name}) failed",
        require=(still(row),),
        retract=retract,
        assert_=assert_,
        settled_by=TOO_LATE,  # its node was quicker
    )


def _deployed(parameters: Deploy, theory: Theory) -> ActorRow | None:
    row = facts.actor(theory, parameters.name)
    return row if row is not None and row.deployment == parameters.id else None


DEPLOY = Workflow(
    "deploy",
    (Step("check", _check), Step("place", _place), Step("start", _start), Step("undo", _undo)),
)


# -- many at once ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployTransaction:
    """Deployments that are placed together, by one change."""

    id: str  # of the transaction
    actors: tuple[Deploy, ...]  # names differ


def parted(deployments: Iterable[Deploy]) -> list[tuple[Deploy, ...]]:
    """Return them in parts, in their order, each of which fits into one change."""
    parts: list[list[Deploy]] = []
    room = 0
    for each in deployments:
        room -= len(each.arguments)
        if not parts or room < 0 or len(parts[-1]) == PLACED_AT_ONCE:
            parts.append([])
            room = PLACED_CHARS_AT_ONCE - len(each.arguments)
        parts[-1].append(each)
    return [tuple(part) for part in parts]


def _check_many(parameters: DeployTransaction, theory: Theory) -> Effect | None:
    is_done = all(_deployed(each, theory) for each in parameters.actors)
    return None if is_done else PeerCall(name="check")


def _place_many(parameters: DeployTransaction, theory: Theory) -> Effect:
    first, more = parameters.actors[0], len(parameters.actors) - 1
    parts = [_placing(each) for each in parameters.actors]
    also = f" and {more} more" if more else ""
    return Transact(
        id=parameters.id,
        why=f"deployActor({first.type}, {first.name}, {first.node}){also}",
        require=tuple(dict.fromkeys(goal for part in parts for goal in part.require)),
        retract=tuple(pattern for part in parts for pattern in part.retract),
        assert_=(
            *(fact for part in parts for fact in part.assert_),
            *(born_fact(each.name, each.id) for each in parameters.actors),
        ),
    )


def _start_many(parameters: DeployTransaction, theory: Theory) -> Effect:
    over = {each.name: _start_over(each) for each in parameters.actors}
    rows: dict[str, ActorRow | None] = {}

    def all_over(now: Theory) -> dict[str, ActorRow | None] | None:
        starting = facts.in_state(now, "starting")
        for name in [name for name in over if name not in rows and name not in starting]:
            outcome = over[name](now)
            if outcome is not None:
                rows[name] = outcome[0]
        return rows if len(rows) == len(over) else None

    late = f"some have not started for {START_TIMEOUT_S:g} s; they still may"
    return Wait(over=all_over, limit_s=START_TIMEOUT_S, late=late)


def _undo_many(parameters: DeployTransaction, theory: Theory) -> Effect | None:
    rows = [row for each in parameters.actors if (row := _deployed(each, theory)) is not None]
    failed = [row for row in rows if row.state == "failed"]
    if not failed:
        return None
    return Transact(
        why=f"{len(failed)} of {len(parameters.actors)} that were deployed together failed",
        require=tuple(still(row) for row in failed),
        retract=tuple(pattern for row in failed for pattern in forget_patterns(row.name)),
        settled_by=TOO_LATE,  # a node was quicker; they take back what is left
    )


DEPLOY_MANY = Workflow(
    "deploy_many",
    (
        Step("check", _check_many),
        Step("place", _place_many),
        Step("start", _start_many),
        Step("undo", _undo_many),
    ),
)

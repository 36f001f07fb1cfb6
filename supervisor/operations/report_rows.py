"""Rows of reports. Their fields, in this order, are what clients read and what `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from zactor.kernel.messages.meanwhile import Meanwhile
from zactor.supervisor.kb.facts import ActorRow, WireRow
from zactor.supervisor.observe.journal import FailureReport

_DROP: Mapping[tuple[str, str, str], str] = {}

Clock = tuple[int, int]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row, or one page."""


class NodeReport(Row, frozen=True, kw_only=True):
    """A node that is known of; `name` is "" while it waits for one."""

    name: str
    role: str  # "" while it can't be asked
    state: str  # up | stuck | unreachable | gone | unconfigured
    address: str
    incarnation: int
    actors: int
    clock: Clock  # of the last change that it knows
    since: float | None = None  # s since 1970: it came, or went
    labels: list[str] = []
    drained: bool = False  # no actor is to run there


class ActorReport(Row, frozen=True, kw_only=True):
    """An actor."""

    name: str
    type: str
    node: str
    state: str  # starting | running | blocking | stopping | failed | unreachable | stopped | lost
    reason: str
    bundle: str
    uid: int
    since: float | None = None  # s since 1970: it is in that state

    @classmethod
    def of(cls, row: ActorRow) -> ActorReport:
        """Return what is told of an actor."""
        return cls(
            name=row.name,
            type=row.type,
            node=row.node,
            state=row.state,
            reason=row.reason,
            bundle=row.bundle,
            uid=row.uid,
            since=row.at,
        )


class WireReport(Row, frozen=True, kw_only=True):
    """A wire."""

    emitter: str
    action: str
    reactor: str
    service: str
    state: str = "up"  # up | down
    since: float | None = None  # s since 1970: it is in that state
    meanwhile: str = "drop"  # of signals while the reactor is away: drop, hold N, block

    @classmethod
    def of(
        cls,
        wire: WireRow,
        at: float,
        state: str,
        meanwhile: Mapping[tuple[str, str, str], str] = _DROP,
    ) -> WireReport:
        """Return what is told of a wire that is in that state since `at`."""
        how = Meanwhile.parse(meanwhile.get((wire.reactor, wire.emitter, wire.action), ""))
        return cls(
            emitter=wire.emitter,
            action=wire.action,
            reactor=wire.reactor,
            service=wire.service.value,
            state=state,
            since=at,
            meanwhile=str(how or "drop"),
        )


class ActorDescription(Row, frozen=True, kw_only=True):
    """All that is known of one actor."""

    name: str
    type: str
    node: str
    state: str  # starting | running | stopping | failed
    reason: str
    since: float  # s since 1970: it is in that state
    uid: int
    bundle: str
    factory: str  # the bundle that its type has now; "": there is no factory
    code: str  # current | old | undeclared
    class_name: str
    constructor: str  # Counter(start: int = 0)
    actions: list[str]  # inc(by: int = 1) -> int
    takes_all: bool  # it overrides do_action
    signals: list[str]  # updateVal(int)
    emits_all: bool  # it may emit signals of other names, too
    unreadable: str  # why nothing is known of its class
    wires_in: list[WireReport]
    wires_out: list[WireReport]
    arguments: dict[str, object] | str  # "a pickle of 80 bytes": they aren't plain
    restart: str  # permanent | transient | temporary; "": never
    intensity: str
    on: list[str]  # nodes that it is brought back on


class FactoryReport(Row, frozen=True, kw_only=True):
    """A type of actors, and the code that it has."""

    type: str
    bundle: str


class FactReport(Row, frozen=True, kw_only=True):
    """A fact, as a text and in parts."""

    fact: str
    functor: str
    args: list[object]
    clock: Clock | None  # None: it came before what is kept of the past


class GroupReport(Row, frozen=True, kw_only=True):
    """A process group that programs use."""

    group: str
    members: int


class GroupMemberReport(Row, frozen=True, kw_only=True):
    """A member of a process group."""

    member: str
    session: str
    node: str


class BundleReport(Row, frozen=True, kw_only=True):
    """How much of a bundle is in a node's store."""

    held: int
    complete: bool


class RuntimeReport(Row, frozen=True, kw_only=True):
    """An actor as the runtime that it lives in sees it."""

    node: str
    name: str
    uid: int
    type: str
    phase: str
    mailbox: int
    handled: int
    failed: int = 0  # actions that raised
    worked_s: float = 0.0  # in its turns, without what it awaited
    busy_s: float
    action: str
    where: str = ""  # FILE:LINE, where it is known
    blocking: bool = False  # no other actor of the shared loop gets a turn
    dispatcher: str = ""  # shared | thread | process: what it has now


class CheckReport(Row, frozen=True, kw_only=True):
    """One check of a node's own health."""

    node: str
    check: str
    ok: bool
    detail: str


class BlockageReport(Row, frozen=True, kw_only=True):
    """An action that holds the shared loop of a node: none of its other actors gets a turn."""

    node: str
    actor: str  # "": a task that an actor made
    action: str
    where: str  # FILE:LINE
    busy_s: float
    moves: bool = False  # it gets a thread of its own then


class HealthReport(Row, frozen=True, kw_only=True):
    """What a node knows alone of how it is: its part of the cluster's status."""

    node: str
    dead_letters: int
    failed_actions: int
    failures: list[FailureReport]  # the last few
    blocking: list[BlockageReport]  # none, or one
    unreached: list[str]  # who doesn't reach whom, a sentence each


class StatusReport(Row, frozen=True, kw_only=True):
    """One page about the cluster as one node sees it."""

    cluster: str
    node: str
    primary: list[str]
    clock: Clock
    view: str
    members: list[str]
    nodes: int
    unconfigured: int
    actors: int
    running: int
    wires: int
    wanted: list[str]  # a sentence for each file that was applied
    under_way: list[str]
    dead_letters: int  # of all nodes, as what follows
    failed_actions: int
    failures: list[FailureReport]  # the last few, oldest first
    degraded: bool
    troubles: list[str]

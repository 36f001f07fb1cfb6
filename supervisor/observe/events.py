"""What this node tells of itself: one stream of events, and where each of them goes.

An event says in which words each sink has it: the journal for people, the trace file for checkers,
the log for operators. A sink for which it has no words leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from zactor.kernel.ids import NodeId

log = structlog.get_logger()

Line = tuple[str, dict[str, Any]]
"""What happened, in one word, and its particulars."""


class Event(Protocol):
    """Something that happened on this node."""

    def journal_line(self) -> Line | None:
        """Return what people read."""
        ...

    def trace_line(self) -> Line | None:
        """Return what checkers read."""
        ...

    def log_line(self) -> tuple[str, Line] | None:
        """Return what operators read, and at which level."""
        ...


Tell = Callable[[Event], None]


class Events:
    """The stream of one node; any thread."""

    def __init__(self, sinks: Sequence[Tell]) -> None:
        """Tell each of `sinks`, in this order."""
        self._sinks = sinks

    def tell(self, event: Event) -> None:
        """Something happened."""
        for sink in self._sinks:
            sink(event)


def to_log(event: Event) -> None:
    """Write an event to the node's log."""
    line = event.log_line()
    if line is not None:
        level, (name, fields) = line
        getattr(log, level)(name, **fields)


class NodeEvent:
    """An event that no sink has words for, but those that a kind of it adds."""

    __slots__ = ()

    def journal_line(self) -> Line | None:
        """Return what people read."""
        return None

    def trace_line(self) -> Line | None:
        """Return what checkers read."""
        return None

    def log_line(self) -> tuple[str, Line] | None:
        """Return what operators read, and at which level."""
        return None


# -- who is there ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class NodeUp(NodeEvent):
    """A node came into the view."""

    node: NodeId
    role: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "node_up", {"name": self.node.name, "incarnation": self.node.incarnation}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        name, incarnation = self.node
        fields = {"name": name, "incarnation": incarnation, "role": self.role}
        return "info", ("node_up", fields)


@dataclass(frozen=True, slots=True)
class NodeOutOfView(NodeEvent):
    """A node is in the view no more."""

    node: NodeId
    why: str

    def journal_line(self) -> Line:
        """Return what people read."""
        name, incarnation = self.node
        return "node_gone", {"name": name, "incarnation": incarnation, "why": self.why}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "warning", self.journal_line()


@dataclass(frozen=True, slots=True)
class NodeSuspect(NodeEvent):
    """The failure detector misses a node."""

    peer: str

    def trace_line(self) -> Line:
        """Return what checkers read."""
        return "suspect", {"q": self.peer}


@dataclass(frozen=True, slots=True)
class NodeHeard(NodeEvent):
    """The failure detector misses it no more."""

    peer: str

    def trace_line(self) -> Line:
        """Return what checkers read."""
        return "alive", {"q": self.peer}


@dataclass(frozen=True, slots=True)
class NodeStuck(NodeEvent):
    """The process of a node lives, and its loop is silent."""

    name: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "node_stuck", {"name": self.name}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "warning", self.journal_line()


@dataclass(frozen=True, slots=True)
class NodeUnstuck(NodeEvent):
    """It isn't silent any more."""

    name: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "node_unstuck", {"name": self.name}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "info", self.journal_line()


@dataclass(frozen=True, slots=True)
class PeerUnreached(NodeEvent):
    """A node doesn't reach another: this one finds so, or a peer says so."""

    who: str
    whom: str
    why: str  # a sentence

    def journal_line(self) -> Line:
        """Return what people read."""
        return "peer_unreached", {"who": self.who, "whom": self.whom, "why": self.why}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "warning", self.journal_line()


# -- whether changes are taken -----------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ChangesRefused(NodeEvent):
    """This node has been in no primary for a while."""

    node: str
    why: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "changes_refused", {"why": self.why}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "warning", ("changes_refused", {"node": self.node, "why": self.why})


@dataclass(frozen=True, slots=True)
class ChangesTaken(NodeEvent):
    """It is in one again."""

    members: tuple[str, ...]

    def journal_line(self) -> Line:
        """Return what people read."""
        return "changes_taken", {"members": list(self.members)}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "info", self.journal_line()


# -- actors ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ActorStartFailed(NodeEvent):
    """An actor of this node couldn't be made."""

    actor: str
    type: str
    reason: str
    error: Exception

    def journal_line(self) -> Line:
        """Return what people read."""
        return "actor_failed", {"actor": self.actor, "reason": self.reason}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        fields = {"actor": self.actor, "type": self.type, "exc_info": self.error}
        return "error", ("actor_failed_to_start", fields)


@dataclass(frozen=True, slots=True)
class ActorStopFailed(NodeEvent):
    """What an actor of this node does at its end raised."""

    actor: str
    reason: str
    error: Exception

    def journal_line(self) -> Line:
        """Return what people read."""
        return "actor_failed", {"actor": self.actor, "reason": self.reason}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "error", ("actor_failed_to_stop", {"actor": self.actor, "exc_info": self.error})


@dataclass(frozen=True, slots=True)
class ActorReturned(NodeEvent):
    """An actor that went on here while the others missed this node is one of the cluster again."""

    actor: str
    uid: int

    def journal_line(self) -> Line:
        """Return what people read."""
        return "returned", {"actor": self.actor, "uid": self.uid}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "info", ("actor_returned", {"actor": self.actor, "uid": self.uid})


@dataclass(frozen=True, slots=True)
class ActorGivenUp(NodeEvent):
    """An actor that went on here while the others missed this node has to end."""

    actor: str
    uid: int
    why: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "actor_given_up", {"actor": self.actor, "uid": self.uid, "why": self.why}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        fields = {"actor": self.actor, "uid": self.uid, "why": self.why}
        return "warning", ("actor_given_up", fields)


@dataclass(frozen=True, slots=True)
class ActorRestarts(NodeEvent):
    """An actor is started again, as its policy says."""

    actor: str
    why: str
    count: int
    wait_s: float

    def journal_line(self) -> Line:
        """Return what people read."""
        fields = {"actor": self.actor, "why": self.why, "count": self.count}
        return "actor_restarts", {**fields, "wait_s": self.wait_s}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "warning", self.journal_line()


@dataclass(frozen=True, slots=True)
class ActorUpgraded(NodeEvent):
    """An actor of this node has other code."""

    name: str
    type: str
    bundle: str
    pause_ms: float  # in which it handled nothing
    remark: str  # what went wrong with the farewell of its former code

    def journal_line(self) -> Line:
        """Return what people read."""
        fields = {"actor": self.name, "type": self.type, "bundle": self.bundle}
        more = {"remark": self.remark} if self.remark else {}
        return "actor_upgraded", {**fields, "pause_ms": self.pause_ms, **more}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return ("warning" if self.remark else "info"), self.journal_line()


@dataclass(frozen=True, slots=True)
class EnvironmentProgress(NodeEvent):
    """What actors need is being installed here: what became of it so far."""

    event: str  # environment_begins | environment_goes_on | environment_made | environment_failed
    fields: Mapping[str, object]

    def journal_line(self) -> Line:
        """Return what people read."""
        return self.event, dict(self.fields)

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        is_bad = self.event == "environment_failed"
        return ("warning" if is_bad else "info"), self.journal_line()


@dataclass(frozen=True, slots=True)
class ActorAbandoned(NodeEvent):
    """An actor is gone, and code of its goes on."""

    actor: str
    uid: int
    remains: str  # what does, in words

    def journal_line(self) -> Line:
        """Return what people read."""
        return "actor_abandoned", {"actor": self.actor, "remains": self.remains}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        fields = {"actor": self.actor, "uid": self.uid, "remains": self.remains}
        return "warning", ("actor_abandoned", fields)


@dataclass(frozen=True, slots=True)
class ActorCrashed(NodeEvent):
    """The process of an actor is gone, and the actor with it."""

    actor: str
    uid: int
    reason: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "actor_died", {"actor": self.actor, "reason": self.reason}

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        fields = {"actor": self.actor, "uid": self.uid, "reason": self.reason}
        return "error", ("actor_died", fields)


@dataclass(frozen=True, slots=True)
class ActionFailed(NodeEvent):
    """An action raised."""

    actor: str
    action: str
    error: str
    where: str  # FILE:LINE, or ""

    def journal_line(self) -> Line:
        """Return what people read."""
        fields = {"actor": self.actor, "action": self.action, "error": self.error}
        return "action_failed", fields | ({"where": self.where} if self.where else {})


@dataclass(frozen=True, slots=True)
class LoopBlocked(NodeEvent):
    """An action holds the shared loop: no other actor of it gets a turn."""

    actor: str  # "": a task that an actor made
    action: str
    where: str  # FILE:LINE
    moves: bool = False  # it gets a thread of its own then

    def journal_line(self) -> Line:
        """Return what people read."""
        fields = {"actor": self.actor, "action": self.action, "where": self.where}
        then = {"then": "it gets a thread of its own"} if self.moves else {}
        return "loop_blocked", fields | then


@dataclass(frozen=True, slots=True)
class LoopFree(NodeEvent):
    """It does no longer."""

    actor: str
    seconds: float

    def journal_line(self) -> Line:
        """Return what people read."""
        return "loop_free", {"actor": self.actor, "seconds": round(self.seconds, 1)}


@dataclass(frozen=True, slots=True)
class DeadLetters(NodeEvent):
    """Messages are given up: the first of a burst."""

    sender: str
    target: str
    action: str
    reason: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "dead_letter", {
            "sender": self.sender,
            "target": self.target,
            "action": self.action,
            "reason": self.reason,
        }

    def log_line(self) -> tuple[str, Line]:
        """Return what operators read."""
        return "warning", self.journal_line()


# -- operations ------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class TodoState(NodeEvent):
    """How far a clause of the knowledge base is."""

    id: str
    state: str

    def trace_line(self) -> Line:
        """Return what checkers read."""
        return "todo", {"id": self.id, "state": self.state}


@dataclass(frozen=True, slots=True)
class ReportFailed(NodeEvent):
    """Another node doesn't say what it knows alone."""

    peer: str
    what: str
    why: str

    def journal_line(self) -> Line:
        """Return what people read."""
        return "look_failed", {"peer": self.peer, "what": self.what, "why": self.why}

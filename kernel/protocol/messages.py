"""The grammar of everything that travels: this module *is* the wire format (msgpack arrays).

Decoding is typed, so what arrives has the right shape or is refused; payloads stay opaque bytes
until they reach the actor runtime. Each struct's tag is its number on the wire: never reuse one.
PROTOCOL.md beside this file has the meaning of every message and who sends it to whom.
"""

from __future__ import annotations

import enum

import msgspec

from zactor.kernel.ids import NodeId
from zactor.kernel.protocol.service import Service
from zactor.kernel.protocol.view import GroupId, SessionId, ViewId

WIRE_VERSION = 1
"""Nodes with different versions refuse each other in the handshake."""


class Message(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag_field="tag_"
):
    """Base of all that travels: immutable, an array on the wire."""


# -- between actors: items of a link, credited ----------------------------------------------
class Signal(Message, frozen=True, tag=1, gc=False):
    """Call `action` of the actors `targets` on the receiving node; nobody waits for an answer."""

    targets: tuple[int, ...]  # actor uids
    sender: int  # actor uid, 0 for a client
    number: int  # grows at the sending node: names this message in traces and dead letters
    action: str
    payload: bytes  # see kernel/wire/payload.py


class Ask(Message, frozen=True, tag=2, gc=False):
    """Call `action` of `target`; exactly one Reply, Failure comes back, or its node dies."""

    target: int
    sender: int
    request: int  # unique at the asking node while it lives
    action: str
    payload: bytes


class Reply(Message, frozen=True, tag=3, gc=False):
    """The action ended with a value."""

    request: int
    payload: bytes


class Failure(Message, frozen=True, tag=4):
    """The ask ended with an error: see kernel/errors.py `from_wire`."""

    request: int
    kind: str
    message: str
    fields: dict[str, str]


class Undelivered(Message, frozen=True, tag=5):
    """A Signal reached the node but not these targets: a dead letter for its sender's node."""

    targets: tuple[int, ...]
    sender: int
    number: int
    action: str
    reason: str


class Bulk(Message, frozen=True, tag=6):
    """An item whose payload has long buffers: they follow as parts of the frame, in order.

    `sizes` are the lengths in bytes; a buffer longer than PART_BYTES_MAX takes several parts.
    A payload longer than INLINE_BYTES_MAX travels as buffer 0, and the item's is empty.
    """

    item: Signal | Ask | Reply
    sizes: tuple[int, ...]
    head_first: bool  # buffer 0 is the payload itself


# -- the knowledge base: items of a link, not credited ---------------------------------------
class Transaction(Message, frozen=True, tag=20):
    """What somebody wants changed: all of it or nothing. Terms are Prolog text."""

    id: str  # unique in the cluster: a second submission of the same id changes nothing
    who: str
    why: str
    require: tuple[tuple[str, str, str], ...]  # (goal, class of error, words); see Theory.prepare
    retract: tuple[str, ...]  # patterns: every matching fact goes; no match is no error
    assert_: tuple[str, ...]  # ground facts; may use variables bound by `require`


class Change(Message, frozen=True, tag=21):
    """A transaction that took place: what exactly went and came, at its place in the history."""

    epoch: int
    index: int
    id: str
    who: str
    why: str
    at: float  # wall clock of the leader in s since 1970, for people only
    retracted: tuple[str, ...]  # ground facts
    asserted: tuple[str, ...]  # ground facts
    digest: bytes  # of the whole history up to here


class KbSubmit(Message, frozen=True, tag=22):
    """A member asks the leader to order a transaction."""

    transaction: Transaction


class KbOutcome(Message, frozen=True, tag=23):
    """The leader's answer: ordered and applied at every member, or why not (`kind` of error)."""

    id: str
    epoch: int  # (0, 0) where it was refused
    index: int
    kind: str  # "" where it took place
    message: str


class KbOrder(Message, frozen=True, tag=24):
    """The leader to all: the next change."""

    change: Change


class KbApplied(Message, frozen=True, tag=25):
    """A member to the leader: applied everything up to here."""

    epoch: int
    index: int


class KbPoll(Message, frozen=True, tag=26):
    """A new leader asks where a member stands; the member obeys no lower epoch from now on."""

    epoch: int


class KbState(Message, frozen=True, tag=27):
    """The answer to KbPoll."""

    epoch: int  # the highest epoch promised
    obeys: bool  # the poll's epoch is promised to its sender; if not, it must begin a higher one
    clock: tuple[int, int]
    digest: bytes
    root: str  # which founding the history goes back to, "" where it is empty
    led: tuple[str, ...]  # leaderships in which another had it too, in this life: name@life:epoch
    beside: tuple[str, ...]  # who else of its cohort lives, as the leader said last


class KbWant(Message, frozen=True, tag=28):
    """Send me what comes after `clock` (log if you have it and `digest` fits, else a snapshot)."""

    clock: tuple[int, int]
    digest: bytes


class KbLog(Message, frozen=True, tag=29):
    """A stretch of history that follows what the receiver has."""

    changes: tuple[Change, ...]


class KbSnapshot(Message, frozen=True, tag=30):
    """One piece of a whole theory; replaces what the receiver has when the last piece is there."""

    clock: tuple[int, int]
    digest: bytes
    piece: int  # from 0
    last: bool
    facts: tuple[tuple[str, int, int, str, str, float], ...]  # fact, epoch, index, who, why, at
    ids: tuple[tuple[str, int, int], ...]  # transactions that took place: id, epoch, index


class KbCohort(Message, frozen=True, tag=31):
    """The leader to all who follow it: who they are now, itself included."""

    epoch: int
    names: tuple[str, ...]


KbMessage = (
    KbSubmit
    | KbOutcome
    | KbOrder
    | KbApplied
    | KbPoll
    | KbState
    | KbWant
    | KbLog
    | KbSnapshot
    | KbCohort
)


# -- operations: asked by clients at the door, and by nodes of each other --------------------
class Hello(Message, frozen=True, tag=40):
    """A node introduces itself at another's door; answered with Welcome or a Problem."""

    version: int
    cluster: str
    name: str
    incarnation: int
    role: str  # "node" | "master"
    key: str  # its CURVE public key (Z85): the User-Id its link will bear
    endpoint: str  # tcp://… of its door and links
    heartbeats: str  # tcp://… of its PUB socket
    python: tuple[int, int]
    clock: tuple[int, int]


class Welcome(Message, frozen=True, tag=41):
    """The answer to Hello: who we are, and whom else we know."""

    hello: Hello
    others: tuple[Hello, ...]


class Waiting(Message, frozen=True, tag=42):
    """An unconfigured node says that it is there and where its door is; repeated."""

    version: int
    cluster: str
    endpoint: str
    python: tuple[int, int]


class Configure(Message, frozen=True, tag=43):
    """Name an unconfigured node; it then joins those in `join`."""

    name: str
    join: tuple[str, ...]  # endpoints


class Leave(Message, frozen=True, tag=44):
    """A node stops in good order: treat it as gone at once."""

    name: str
    incarnation: int


class DeclareNode(Message, frozen=True, tag=45):
    """Name the unconfigured node at an address (HOST or HOST:PORT)."""

    name: str
    address: str


class DeclareFactory(Message, frozen=True, tag=46):
    """From now on actors of `type` are made from the bundle with this identity."""

    type: str
    bundle: str  # "sha256:…"


class DeployActor(Message, frozen=True, tag=47):
    """Create an actor; `arguments` is a payload of its constructor's keyword arguments."""

    type: str
    name: str
    node: str
    arguments: bytes


class DestroyActor(Message, frozen=True, tag=48):
    """Drop the references, let the actor finish its work, then it goes."""

    name: str
    todo: bool
    drain_s: float  # how long it may go on working through its mailbox; < 0: without limit


class React(Message, frozen=True, tag=49):
    """From now on `reactor` does `action` when `emitter` sends that signal."""

    reactor: str
    emitter: str
    action: str
    service: str


class RemoveReact(Message, frozen=True, tag=50):
    """The end of an interaction."""

    reactor: str
    emitter: str
    action: str


class EmitSignal(Message, frozen=True, tag=51):
    """Make `actor` emit `action`, as if it had done so itself."""

    actor: str
    action: str
    payload: bytes


class TellActor(Message, frozen=True, tag=52):
    """One message to one actor; answered as soon as it is accepted."""

    actor: str
    action: str
    payload: bytes


class AskActor(Message, frozen=True, tag=53):
    """One message to one actor; answered with what the action returned."""

    actor: str
    action: str
    payload: bytes
    plain: bool  # the answer as plain data (JSON's types) instead of a pickle


class Look(Message, frozen=True, tag=54):
    """Read something: "nodes", "actors", "wires", "factories", "status", "deadletters", …"""

    what: str
    argument: str


class QueryFacts(Message, frozen=True, tag=55):
    """Solutions of a goal in this node's knowledge base; waits up to `wait_s` for the first."""

    goal: str
    wait_s: float


class Events(Message, frozen=True, tag=56):
    """Events with a number above `after`; waits up to `wait_s` for the first."""

    after: int
    wait_s: float


class PutPart(Message, frozen=True, tag=57):
    """A piece of a bundle for the receiver's store; answered with the bytes held so far."""

    bundle: str
    offset: int
    total: int
    data: bytes


class GetPart(Message, frozen=True, tag=58):
    """A piece of a bundle from the receiver's store, beginning at `offset`."""

    bundle: str
    offset: int


class CheckBundle(Message, frozen=True, tag=59):
    """Fetch the bundle if need be and check that it would load: Python, imports, types."""

    bundle: str
    type: str


Operation = (
    Hello
    | Waiting
    | Configure
    | Leave
    | DeclareNode
    | DeclareFactory
    | DeployActor
    | DestroyActor
    | React
    | RemoveReact
    | EmitSignal
    | TellActor
    | AskActor
    | Look
    | QueryFacts
    | Events
    | PutPart
    | GetPart
    | CheckBundle
)


class Request(Message, frozen=True, tag=70):
    """An operation with the number its answer will bear."""

    number: int
    operation: Operation
    timeout_s: float = 0.0  # nobody waits for the answer any longer than this; 0: without limit


class Answer(Message, frozen=True, tag=71):
    """The result, msgpack of plain data; with `more` the next Answer of that number goes on."""

    number: int
    more: bool
    result: bytes


class Problem(Message, frozen=True, tag=72):
    """The operation ended with an error: see kernel/errors.py `from_wire`."""

    number: int
    kind: str
    message: str
    fields: dict[str, str]


Credited = Signal | Ask
"""Items that take a credit: the sender stops when the receiver doesn't get through them.

A Bulk takes one if the item within does, so a long Reply never waits for a credit either: see
`is_credited` in kernel/wire/measure.py, by which both ends count.
"""

Item = (
    Signal
    | Ask
    | Reply
    | Failure
    | Undelivered
    | Bulk
    | KbSubmit
    | KbOutcome
    | KbOrder
    | KbApplied
    | KbPoll
    | KbState
    | KbWant
    | KbLog
    | KbSnapshot
    | KbCohort
    | Request
    | Answer
    | Problem
)


# -- what a socket carries -------------------------------------------------------------------
class LinkFrame(Message, frozen=True, tag=80):
    """One frame of a link between two incarnations. Numbers of items begin at 1 and only grow."""

    source: int  # incarnation of the sender
    target: int  # incarnation of the receiver
    first: int  # number of items[0]; without items: the next number
    received: int  # everything up to this number of yours has arrived
    granted: int  # you may have sent this many credited items in all
    probe: bool  # answer at once: where do you stand?
    again: bool  # something is missing: send all that follows `received` again
    items: tuple[Item, ...]


Inbound = LinkFrame | Request
"""What may arrive at a node's door: frames of links (node keys), requests (door key)."""

Outbound = Answer | Problem
"""What a node answers at its door."""


class Heartbeat(Message, frozen=True, tag=90):
    """Published by every node, every HEARTBEAT_MS, from the kernel's own loop."""

    name: str
    incarnation: int
    clock: tuple[int, int]  # of its knowledge base
    lag_ms: int  # how late its loop was
    hears: tuple[str, ...]  # name@incarnation of its members; who isn't among them was dropped


# -- the group engine: items of a link, not credited (but Unreliable data and heartbeats) -----
class Kind(enum.Enum):
    """What a GroupData does beside being ordered."""

    DATA = "data"
    JOIN = "join"  # `session` enters `groups`
    LEAVE = "leave"  # `session` leaves `groups`
    DISCONNECT = "disconnect"  # `session` has gone, from all its groups


class GroupHeartbeat(Message, frozen=True, tag=100):
    """Published by every node from its own loop: it lives, whom it hears, where it stands."""

    sender: NodeId
    number: int  # grows by one with each: older ones that come late are dropped
    view: ViewId  # installed
    promised: ViewId  # the highest ballot it obeys
    follows: NodeId  # the lowest node it holds for alive, perhaps itself
    hears: tuple[NodeId, ...]  # heartbeats of these arrive
    held: tuple[NodeId, ...]  # of these: it hears them but doesn't trust them yet (hold-down)
    lag_ms: int  # how late its loop was
    line: int  # as in GroupAck, for `view`: repairs an acknowledgement that was lost
    streams: tuple[int, ...]  # as in GroupAck; the sender's own entry is what it has sent
    consumed: int  # deliveries its sessions have got through, over its life: it isn't stuck


class TicketRequest(Message, frozen=True, tag=101):
    """Member to coordinator: numbers for `count` messages that wait here."""

    view: ViewId
    count: int


class TicketGrant(Message, frozen=True, tag=102):
    """Coordinator to member: tickets first … first + count - 1 are yours alone."""

    view: ViewId
    first: int
    count: int


class GroupData(Message, frozen=True, tag=103):
    """One message to groups. Sent by its sender to all members, or again by any holder."""

    view: ViewId
    sender: NodeId
    sequence: int  # place in the sender's stream of this view, from 1; 0: UNRELIABLE, no place
    ticket: int  # place in the order of all, from 1; 0: below CAUSAL
    number: int  # grows over the sender's life; (sender, number) names the message
    service: Service
    kind: Kind
    session: str  # of the sender's node
    groups: tuple[str, ...]
    discard: bool  # not to be given to `session` itself
    line: int  # the sender's line (see GroupAck) with this message: saves it an acknowledgement
    payload: bytes


class GroupAck(Message, frozen=True, tag=104):
    """Member to members, or to the coordinator of a large view: I hold all up to here."""

    view: ViewId
    line: int  # every ticket up to it, and what precedes those in their senders' streams
    streams: tuple[int, ...]  # of each member's stream, in the order of the view; frees buffers


class AckSummary(Message, frozen=True, tag=105):
    """Coordinator to the members of a large view: the lowest of all acknowledgements."""

    view: ViewId
    line: int
    streams: tuple[int, ...]


class Want(Message, frozen=True, tag=106):
    """Member to a holder: send me these again. (sender, first, last) of its stream."""

    view: ViewId
    ranges: tuple[tuple[NodeId, int, int], ...]


class Propose(Message, frozen=True, tag=107):
    """The lowest alive to those it wants: freeze and promise `ballot`."""

    ballot: ViewId
    members: tuple[NodeId, ...]


class Held(Message, frozen=True, tag=113):
    """A message that exists, without its content."""

    sequence: int
    ticket: int
    service: Service
    holder: NodeId  # who can send it (in a report: who reports)


class StreamState(Message, frozen=True, tag=114):
    """What is known of one sender's stream: all members hold 1 … base, beyond it `held` exist."""

    sender: NodeId
    base: int
    held: tuple[Held, ...]  # in order of sequence


class Report(Message, frozen=True, tag=115):
    """What a frozen member has of its old view."""

    view: ViewId
    delivered: int  # every ticket up to it was delivered here
    stable: int  # every ticket up to it is known to be held by every member of the view
    obligation: tuple[NodeId, ...]  # whose messages it must deliver even beyond a gap
    streams: tuple[StreamState, ...]  # in the order of the view


class Accept(Message, frozen=True, tag=108):
    """Member to proposer: frozen and promised; this is what I have."""

    ballot: ViewId
    report: Report


class Plan(Message, frozen=True, tag=116):
    """What the members that come from one old view together (`cohort`) must do before they go."""

    view: ViewId  # the old one
    cohort: tuple[NodeId, ...]
    delivered: int  # every ticket up to it was delivered by somebody in the cohort
    stable: int  # the best known
    obligation: tuple[NodeId, ...]
    streams: tuple[StreamState, ...]  # the union of what the cohort holds


class Sync(Message, frozen=True, tag=109):
    """Proposer to each cohort: get what you lack from its holder, then say Ready."""

    ballot: ViewId
    members: tuple[NodeId, ...]
    plan: Plan


class GroupState(Message, frozen=True, tag=117):
    """A group as a cohort knows it when it leaves its old view, lost members included."""

    group: str
    id: GroupId
    members: tuple[SessionId, ...]
    disturbed: bool  # its members got a transitional signal and wait for a new membership


class CohortGroups(Message, frozen=True, tag=118):
    """All groups of a cohort."""

    cohort: tuple[NodeId, ...]
    groups: tuple[GroupState, ...]


class Ready(Message, frozen=True, tag=110):
    """Member to proposer: I hold all that the plan names."""

    ballot: ViewId
    groups: tuple[GroupState, ...]  # from the cohort's first member; () from the others


class Install(Message, frozen=True, tag=111):
    """Proposer to members, when all are ready: deliver the rest, then `ballot` is the view."""

    ballot: ViewId
    cohorts: tuple[CohortGroups, ...]


class Departed(Message, frozen=True, tag=112):
    """A node that stops in good order, to the members: don't wait for my silence."""


GroupMessage = (
    GroupData
    | GroupAck
    | TicketRequest
    | TicketGrant
    | AckSummary
    | Want
    | Propose
    | Accept
    | Sync
    | Ready
    | Install
    | Departed
)
"""What the engine sends over links; GroupHeartbeat and UNRELIABLE data go beside them."""

"""The grammar of everything that travels: this module *is* the wire format (msgpack arrays).

Decoding is typed, so what arrives has the right shape or is refused; payloads stay opaque bytes
until they reach the actor runtime. Each struct's tag is its number on the wire: never reuse one.
PROTOCOL.md beside this file has the meaning of every message and who sends it to whom.
"""

from __future__ import annotations

import enum
from typing import Annotated, NamedTuple

import msgspec

from zactor.kernel.homes import at_home
from zactor.kernel.ids import NodeId
from zactor.kernel.protocol.service import Service
from zactor.kernel.protocol.view import GroupId, SessionId, ViewId

WIRE_VERSION = 4
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

    item: Signal | Ask | Reply | GroupBulk
    sizes: tuple[int, ...]
    head_first: bool  # buffer 0 is the payload itself


class Wired(Message, frozen=True, tag=7, gc=False):
    """A Signal in group order: the payload of a group message to all nodes that it is for."""

    targets: tuple[tuple[str, tuple[int, ...]], ...]  # by name of their node: actor uids
    sender: int  # this and what follows as in Signal
    number: int
    action: str
    payload: bytes


# -- the knowledge base: payloads of group messages, and items of links, not credited ---------
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
    number: int = 0  # of its entry in the log, from 1; those that were refused count too
    chain: bytes = b""  # digest of all entries up to that one


class Primary(NamedTuple):
    """A primary of the knowledge base: formed, or attempted only."""

    epoch: int  # above that of every attempt before; the first part of its changes' clocks
    members: tuple[str, ...]  # names in order: they have the whole history and count for majorities
    decider: str  # exactly half of the members decides with it: the first that hosts actors
    founding: str  # of the cluster


class Entry(NamedTuple):
    """A transaction at its place in the log; whether it is refused shows when it is applied."""

    epoch: int
    at: float  # wall clock of the submitter in s since 1970, for people only
    transaction: Transaction


class KbStanding(Message, frozen=True, tag=32):
    """Member to all in a new view (AGREED): where I stand. No change is ordered meanwhile."""

    view: ViewId
    role: str  # "node" | "master"
    formed: Primary | None  # the last it knows to have been formed
    attempts: tuple[Primary, ...]  # later ones that may have been formed
    epoch: int  # the log is complete up to its end for this epoch
    number: int  # of the last entry of the log, those not applied yet included
    chain: bytes  # digest of all entries up to it
    clock: tuple[int, int]  # of the last change that was applied
    digest: bytes  # of all changes up to it


class KbAttempt(Message, frozen=True, tag=33):
    """Proposer to all (AGREED): let us be the primary, as soon as all `voices` have it on disk."""

    primary: Primary
    voices: tuple[str, ...]  # its members, and who else must know of it
    number: int  # what the members must have: the log up to here …
    chain: bytes  # … with this digest


class KbAttempted(Message, frozen=True, tag=34):
    """A voice to all (SAFE): the attempt is on my disk, and if I am a member the log before it."""

    epoch: int


class KbSubmission(Message, frozen=True, tag=35):
    """Member to all (SAFE): order this transaction."""

    transaction: Transaction
    at: float


class KbDurable(Message, frozen=True, tag=36, gc=False):
    """Member to all (FIFO): my log is on disk up to here; beside it, what I have applied."""

    epoch: int  # of the primary in which this was said
    number: int
    clock: tuple[int, int]
    digest: bytes


class NoteKind(enum.Enum):
    """What a KbNote says."""

    READY = "ready"  # I have the whole history on disk: let me be a member (AGREED)
    LEAVING = "leaving"  # I stop in good order: let the others be the primary without me (AGREED)
    READ = "read"  # nothing: who sees it delivered has seen all that was decided before (SAFE)


class KbNote(Message, frozen=True, tag=37):
    """A member says something about itself to all."""

    kind: NoteKind
    id: str  # of a READ, "" with the others


class KbBehind(Message, frozen=True, tag=38):
    """Link: give me piece `piece` of what I lack; with piece 0 the way begins anew."""

    view: ViewId
    piece: int
    clock: tuple[int, int]
    digest: bytes  # of the changes that I have applied


class KbPiece(Message, frozen=True, tag=39):
    """Link: a piece of the log, or of a snapshot of the whole; then what isn't applied yet."""

    view: ViewId
    piece: int  # from 0
    last: bool
    is_snapshot: bool
    changes: tuple[Change, ...]  # that follow
    facts: tuple[tuple[str, int, int, str, str, float], ...]  # fact, epoch, index, who, why, at
    ids: tuple[tuple[str, int, int], ...]  # transactions that took place: id, epoch, index
    entries: tuple[Entry, ...]  # ordered, not applied
    # Where the history stands after this piece, before its entries; in a snapshot after the last.
    clock: tuple[int, int]
    digest: bytes
    number: int
    chain: bytes
    epoch: int  # as in KbStanding


KbOrdered = KbStanding | KbAttempt | KbAttempted | KbSubmission | KbDurable | KbNote
"""What travels through the group engine, to the group of the knowledge base."""

KbLinked = KbBehind | KbPiece
"""What travels over the link between two nodes."""


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


# -- groups for programs that are no actors: asked by a Mailbox at its node's door -------------
class OpenSession(Message, frozen=True, tag=60):
    """Begin the one session of this connection; it ends with it. "": the node makes up a name."""

    name: str


class CloseSession(Message, frozen=True, tag=61):
    """End the session: its groups see it go. Answered when what was sent before is taken over."""


class JoinGroup(Message, frozen=True, tag=62):
    """Enter a group; a MembershipMessage tells when that has happened."""

    group: str


class LeaveGroup(Message, frozen=True, tag=63):
    """Leave a group; a MembershipMessage tells when that has happened."""

    group: str


class Outgoing(Message, frozen=True, tag=64, gc=False):
    """One message of a Multicast."""

    groups: tuple[str, ...]  # `#session#node` is one session's private group
    payload: bytes
    service: Service
    discard: bool  # no copy for the sender itself
    mess_type: MessType  # the program's own, 0 where it has none


class Multicast(Message, frozen=True, tag=65):
    """Send these, in order; answered when all are taken over, which waits while too much waits."""

    messages: tuple[Outgoing, ...]


class ReceiveGroup(Message, frozen=True, tag=66):
    """Give me up to `room` messages as soon as there is one; with 0 the answer comes at once."""

    consumed: int  # regular messages that the program has taken since it said so last
    room: int


@at_home
class RegularMessage(Message, frozen=True, tag=67, gc=False):
    """What somebody sent to a group, or to this session's private group."""

    sender: str  # private group of who sent it, like "#alice#n1": answers may go there
    groups: tuple[str, ...]  # all that it was sent to
    payload: bytes
    service: Service
    discard: bool  # its sender wanted no copy
    mess_type: int  # the sender's own, signed, 16 bits
    transitional: bool  # after the transitional signal: holds among those who stay, see PROTOCOL.md
    origin: str  # node and its life, like "n1@3"
    number: int  # grows at that node: origin and number name the message
    view: str  # of the nodes, in which it was sent, like "7.n1@3"

    @property
    def id(self) -> str:
        """The message's name, unique in the cluster, as event logs have it."""
        return f"{self.origin}#{self.number}"


@at_home
class MembershipCause(enum.Enum):
    """Why a MembershipMessage came."""

    JOIN = "join"
    LEAVE = "leave"
    DISCONNECT = "disconnect"  # a session ended, in good order or not
    NETWORK = "network"  # nodes came or went
    SELF_LEAVE = "self_leave"  # this session itself has left


@at_home
class MembershipMessage(Message, frozen=True, tag=68):
    """A group this session is in has another membership; or is about to (`transitional`).

    Members are named by their private groups, like "#alice#n1", and stand in the order of the
    group, which is the same everywhere.
    """

    group: str
    transitional: bool  # members are lost: what follows, up to the next, holds among who stays
    cause: MembershipCause  # NETWORK with `transitional`
    members: tuple[str, ...]  # none with `transitional` and with SELF_LEAVE
    changed: str | None  # who joined, left or disconnected
    vs_sets: tuple[tuple[str, ...], ...]  # with NETWORK: members that came together, each set once
    own_set: int  # index in `vs_sets` of the set of this session; -1 where there are none
    id: str  # equal where the membership is; with `transitional` of the one that ends


SessionOperation = OpenSession | CloseSession | JoinGroup | LeaveGroup | Multicast | ReceiveGroup
"""What a node does for a client in the order in which it is asked."""

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
    | SessionOperation
)


class Request(Message, frozen=True, tag=70):
    """An operation with the number its answer will bear."""

    number: int
    operation: Operation
    timeout_s: float = 0.0  # nobody waits for the answer any longer than this; 0: without limit.
    # The node ends it then, see PROTOCOL.md O5a
    id: str = ""  # of a change: asked for again under the same id, it is made once; "": none


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


# -- the group engine ------------------------------------------------------------------------
class Kind(enum.Enum):
    """What a GroupData does beside being ordered."""

    DATA = "data"
    JOIN = "join"  # `session` enters `groups`
    LEAVE = "leave"  # `session` leaves `groups`
    DISCONNECT = "disconnect"  # `session` has gone, from all its groups


Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
"""What is counted, or measured in ms: far from what msgpack can't carry, whatever is added."""

MessType = Annotated[int, msgspec.Meta(ge=-(1 << 15), lt=1 << 15)]
"""Spread's type of a message: the application's own, a signed integer of 16 bits."""


class GroupHeartbeat(Message, frozen=True, tag=100):
    """Published by every node from its own loop: it lives, whom it hears, where it stands."""

    sender: NodeId
    number: Count  # grows by one with each: older ones that come late are dropped
    view: ViewId  # installed
    promised: ViewId  # the highest ballot it obeys
    follows: NodeId  # whom it expects to propose views, perhaps itself
    hears: tuple[NodeId, ...]  # heartbeats of these arrive
    held: tuple[NodeId, ...]  # of these: it hears them but doesn't trust them yet (hold-down)
    lag_ms: Count  # how late its loop was
    line: Count  # as in GroupAck, for `view`: repairs an acknowledgement that was lost
    streams: tuple[Count, ...]  # as in GroupAck; the sender's own entry is what it has sent
    consumed: Count  # deliveries its sessions have got through, over its life: it isn't stuck
    leads: tuple[
        NodeId, ...
    ] = ()  # whom it would have in a view of its own; (): it follows another


class TicketRequest(Message, frozen=True, tag=101):
    """Member to coordinator: numbers for `count` messages that wait here."""

    view: ViewId
    count: Count


class TicketGrant(Message, frozen=True, tag=102):
    """Coordinator to member: tickets first … first + count - 1 are yours alone."""

    view: ViewId
    first: Count
    count: Count


class GroupItem(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One message in a packet: what its sender wrote."""

    number: Count  # grows over the sender's life; (sender, number) names the message
    service: Service
    session: str  # of the sender's node
    groups: tuple[str, ...]
    discard: bool  # not to be given to `session` itself
    mess_type: MessType  # the application's own, 0 where it has none
    payload: bytes


class GroupPacket(Message, frozen=True, tag=103):
    """Messages of one sender that share a place. Sent to all members, or again by any holder."""

    view: ViewId
    sender: NodeId
    sequence: Count  # place in the sender's stream of this view, from 1; 0: UNRELIABLE, no place
    ticket: Count  # place in the order of all, from 1; 0: below CAUSAL
    service: Service  # of its messages; of CAUSAL to SAFE, which may share one, the strongest
    kind: Kind  # all but DATA travel alone
    line: Count  # the sender's line (see GroupAck) with this packet: saves it an acknowledgement
    items: tuple[GroupItem, ...]  # at least one, in sending order


class GroupData(msgspec.Struct, frozen=True, gc=False):
    """One message as it is delivered: an item with what it has from its packet."""

    view: ViewId
    sender: NodeId
    ticket: int  # of its packet: place in the order of all, 0 below CAUSAL
    number: int
    service: Service
    kind: Kind
    session: str
    groups: tuple[str, ...]
    discard: bool
    mess_type: int
    payload: bytes


class GroupAck(Message, frozen=True, tag=104):
    """Member to members, or to the coordinator of a large view: I hold all up to here."""

    view: ViewId
    line: Count  # every ticket up to it, and what precedes those in their senders' streams
    streams: tuple[Count, ...]  # of each member's stream, in the order of the view; frees buffers


class AckSummary(Message, frozen=True, tag=105):
    """Coordinator to the members of a large view: the lowest of all acknowledgements."""

    view: ViewId
    line: Count
    streams: tuple[Count, ...]


class Want(Message, frozen=True, tag=106):
    """Member to a holder: send me these again. (sender, first, last) of its stream."""

    view: ViewId
    ranges: tuple[tuple[NodeId, Count, Count], ...]


class Propose(Message, frozen=True, tag=107):
    """The lowest alive to those it wants: freeze and promise `ballot`."""

    ballot: ViewId
    members: tuple[NodeId, ...]


class Held(Message, frozen=True, tag=113):
    """A packet that exists, without its content."""

    sequence: Count
    ticket: Count
    service: Service
    holder: NodeId  # who can send it (in a report: who reports)


class StreamState(Message, frozen=True, tag=114):
    """What is known of one sender's stream: all members hold 1 … base, beyond it `held` exist."""

    sender: NodeId
    base: Count
    held: tuple[Held, ...]  # in order of sequence


class Report(Message, frozen=True, tag=115):
    """What a frozen member has of its old view."""

    view: ViewId
    delivered: Count  # every ticket up to it was delivered here
    stable: Count  # every ticket up to it is known to be held by every member of the view
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
    delivered: Count  # every ticket up to it was delivered by somebody in the cohort
    stable: Count  # the best known
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


class GroupBulk(Message, frozen=True, tag=119):
    """A message of a view change that is too long for a frame: its encoding as one payload.

    A report names every packet that isn't stable, an Install every member of every group.
    """

    payload: bytes


class Departed(Message, frozen=True, tag=112):
    """A node that stops in good order, to the members: don't wait for my silence."""


GroupMessage = (
    GroupPacket
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


# -- items -----------------------------------------------------------------------------------
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
    | KbLinked
    | Request
    | Answer
    | Problem
    | GroupMessage
    | GroupBulk
    | GroupHeartbeat
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
    """Published by every node from the kernel's own loop, at the group engine's pace."""

    clock: tuple[int, int]  # of its knowledge base
    linked: tuple[str, ...]  # name@incarnation of its peers; who isn't among them was dropped
    group: GroupHeartbeat

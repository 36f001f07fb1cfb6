"""Operations: asked by clients at the door, and by nodes of each other; and their answers."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from zactor.kernel import limits
from zactor.kernel.messages.base import Count, Message, Seconds
from zactor.kernel.messages.client_sessions import SessionOperation
from zactor.kernel.messages.daemon_monitor import MonitorOperation
from zactor.kernel.messages.desired import DesiredChanges, DesiredReads

Known = Annotated[dict[str, Count], msgspec.Meta(max_length=limits.DOOR_KNOWN_MAX)]
"""What a client knows already, by name: the number of the last."""


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


class UndeclareFactory(Message, frozen=True, tag=164):
    """From now on there is no code for `type`; refused while there are actors of it, or lost."""

    type: str


class DeployActor(Message, frozen=True, tag=47):
    """Create an actor; `arguments` is a payload of its constructor's keyword arguments."""

    type: str
    name: str
    node: str
    arguments: bytes
    restart: str = ""  # permanent | transient | temporary; "": it has no policy
    intensity: str = ""  # "3 in 10s"; "": the usual one
    install: bool = False  # what its bundle wants, into an environment in which its process runs


class DeployActors(Message, frozen=True, tag=176):
    """Create many actors, each as DeployActor does; answered with a row for each."""

    actors: tuple[DeployActor, ...]


class UpgradeActor(Message, frozen=True, tag=165):
    """Give an actor other code where it runs; its mailbox, name and wires stay."""

    name: str
    bundle: str = ""  # "": what the factory of its type has now
    who: str = ""  # who wants it, where a node asks on somebody's behalf


class MoveActor(Message, frozen=True, tag=166):
    """Have an actor go on at another node, with what it knows; its name and wires stay."""

    name: str
    node: str
    who: str = ""  # as of UpgradeActor


class ReceiveActor(Message, frozen=True, tag=167):
    """An actor comes from another node: `load` its code, then `restore` it, then let it `begin`."""

    step: str
    name: str
    state: bytes | None = None


class FlushLink(Message, frozen=True, tag=168):
    """Answer when all that was sent to that node until now is in mailboxes there."""

    node: str


class DestroyActor(Message, frozen=True, tag=48):
    """Drop the references, let the actor finish its work, then it goes."""

    name: str
    todo: bool
    drain_s: Seconds  # how long it may go on working through its mailbox; < 0: without limit


class Wire(Message, frozen=True, tag=49):
    """From now on `reactor` does `action` when `emitter` sends that signal."""

    reactor: str
    emitter: str
    action: str  # or SIGNAL>ACTION, where they have different names
    service: str
    anyway: bool = False  # also where the classes of both don't have it, or it doesn't fit
    meanwhile: str = ""  # drop, "hold 1000" or block, while the reactor is away; "": drop


class Unwire(Message, frozen=True, tag=50):
    """The end of an interaction."""

    reactor: str
    emitter: str
    action: str  # as in Wire


class EmitSignal(Message, frozen=True, tag=51):
    """Make `actor` emit `action`, as if it had done so itself."""

    actor: str
    action: str
    payload: bytes
    anyway: bool = False  # also where its class has no such signal, or that can't carry it


class TellActor(Message, frozen=True, tag=52):
    """One message to one actor; answered as soon as it is accepted."""

    actor: str
    action: str
    payload: bytes
    checked: bool = False  # accepted by its node
    anyway: bool = False  # also where its class has no such action, or that can't take it


class AskActor(Message, frozen=True, tag=53):
    """One message to one actor; answered with what the action returned."""

    actor: str
    action: str
    payload: bytes
    plain: bool  # the answer as plain data (JSON's types) instead of a pickle
    anyway: bool = False  # as in TellActor


class Subject(enum.Enum):
    """What a report may be about."""

    NODES = "nodes"
    ACTORS = "actors"
    WIRES = "wires"
    FACTORIES = "factories"
    FACTS = "facts"  # at the clock that is the argument; "": now
    WHY = "why"  # the name that is the argument is mentioned by facts
    LOG = "log"
    STATUS = "status"
    DEADLETTERS = "deadletters"  # of the node that is the argument; "": of all
    FAILURES = "failures"  # the same
    HEALTH = "health"  # what goes into the status of each node alone
    RUNTIME = "runtime"
    DOCTOR = "doctor"
    GROUPS = "groups"
    GROUP = "group"  # its name is the argument
    BUNDLE = "bundle"  # its identity is the argument


class Inspect(Message, frozen=True, tag=54):
    """Read something."""

    what: Subject
    argument: str


class QueryFacts(Message, frozen=True, tag=55):
    """Solutions of a goal in this node's knowledge base; waits up to `wait_s` for the first."""

    goal: str
    wait_s: Seconds


class Events(Message, frozen=True, tag=56):
    """Events of a node, with a number above that in `after`; waits up to `wait_s` for the first."""

    after: Known  # by node: the last that is known already
    wait_s: Seconds
    node: str = ""  # which tells; "": who is asked
    past: bool = True  # a node that isn't in `after` tells all that it has, not only what is new


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


class PutArguments(Message, frozen=True, tag=170):
    """A piece of arguments that are too long for one request. The request that they belong to
    follows, with PIECES_MARK and their key in its payload's place."""

    key: str  # the sender's own, of one request
    offset: int
    total: int
    data: bytes


class CheckBundle(Message, frozen=True, tag=59):
    """Fetch the bundle if need be and check that it would load: Python, imports, types.

    With `install` what it wants is installed first; if that isn't done within ENVIRONMENT_LOOK_S
    it goes on, the answer is AT_WORK, and who asks does so again.
    """

    bundle: str
    type: str
    install: bool = False


class ForgetNode(Message, frozen=True, tag=120):
    """An operator's word: the member `node` is dead for good, with its disk, or is missed no more.
    A lost actor of that name isn't wanted any more either."""

    node: str
    i_know: bool  # what may be lost by it


class RecoverPrimary(Message, frozen=True, tag=121):
    """An operator's word: the view that `node` is in goes on without a quorum."""

    node: str
    i_know: bool  # what may be lost by it


class RestoreActors(Message, frozen=True, tag=122):
    """Deploy lost actors again as they were ordered, wires and all."""

    names: tuple[str, ...]  # (): all
    node: str  # where; "": each on the node that it was on


class Watch(Message, frozen=True, tag=160):
    """What nodes have counted, where it differs from a sample that is known; waits for the next."""

    after: Known  # by node: its sample that is known already
    wait_s: Seconds
    node: str = ""  # only this one; "": for a client all


class LookAtPanels(Message, frozen=True, tag=161):
    """What actors of a node show, where it has changed; waits up to `wait_s` for that."""

    node: str
    after: Known  # by actor: the version that is known; 0: none
    wait_s: Seconds


class ReadOutput(Message, frozen=True, tag=162):
    """What actors of a node printed, logged and raised; waits up to `wait_s` for the first line."""

    node: str
    actor: str  # "": all
    after: Count  # number of the last line that is known
    since: Seconds  # s since 1970: nothing older
    wait_s: Seconds


class DescribeActor(Message, frozen=True, tag=163):
    """What is one actor: its code, what it can do, who is wired to it, how it was ordered."""

    actor: str


class DescribeType(Message, frozen=True, tag=175):
    """What actors of a type can do, by the code that is asked of; it is loaded for that."""

    bundle: str
    type: str


AT_WORK: Final = {"at_work": True}
"""What CheckBundle is answered with while something is being installed."""

PIECES_MARK: Final = b"P"
"""First byte of the payload of a request whose arguments came before it, in PutArguments; the rest
is their key. Who is asked puts them in its place."""


Handshakes = Hello | Waiting | Configure | Leave
"""Operations by which nodes meet, and part."""

Changes = (
    DeclareNode
    | DeclareFactory
    | UndeclareFactory
    | DeployActor
    | DeployActors
    | RestoreActors
    | UpgradeActor
    | MoveActor
    | DestroyActor
    | Wire
    | Unwire
    | DesiredChanges
)
"""Operations that bear an id: when their node goes, another is asked, and they are done once. They
are done to their end also when nobody waits any more."""

ToActors = EmitSignal | TellActor | AskActor
"""Operations that are never sent a second time: user code may have run."""

OperatorWords = ForgetNode | RecoverPrimary
"""Operations by which an operator gives something up. They are never sent a second time either:
what he was told may not be so any more."""

Watches = Watch | LookAtPanels | ReadOutput
"""Operations of who looks on: what a node counts, shows and was told by its actors."""

Reads = (
    Inspect
    | QueryFacts
    | Events
    | Watches
    | PutPart
    | PutArguments
    | GetPart
    | CheckBundle
    | ReceiveActor
    | FlushLink
    | DescribeActor
    | DescribeType
    | DesiredReads
)
"""Operations that may be sent a second time: nothing is different if the first arrived as well."""


def is_long(operation: Operation) -> bool:
    """Whether the arguments of an operation don't fit into one request."""
    return (
        isinstance(operation, ToActors)
        and len(operation.payload) > limits.CLIENT_ARGUMENTS_BYTES_MAX
    )


def in_pieces(operation: Operation, key: str) -> tuple[Sequence[PutArguments], Operation]:
    """Return what goes before an operation whose arguments are long, and what takes its place.

    Nothing goes before one whose arguments fit into its request.
    """
    if not is_long(operation):
        return (), operation
    assert isinstance(operation, ToActors)
    body, step = operation.payload, limits.PART_BYTES_MAX
    pieces = [
        PutArguments(key, offset, len(body), body[offset : offset + step])
        for offset in range(0, len(body), step)
    ]
    return pieces, msgspec.structs.replace(operation, payload=PIECES_MARK + key.encode("ascii"))


Operation = (
    Handshakes | Changes | ToActors | OperatorWords | Reads | SessionOperation | MonitorOperation
)


class Request(Message, frozen=True, tag=70):
    """An operation with the number its answer will bear."""

    number: int
    operation: Operation
    timeout_s: Seconds = 0.0  # nobody waits for the answer any longer than this; 0: without limit.
    # The node ends it then, see PROTOCOL.md O5a
    id: str = ""  # of a change: asked for again under the same id, it is made once; "": none
    who: str = ""  # makes a change, as its client says: `user@host program`; "": isn't said


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

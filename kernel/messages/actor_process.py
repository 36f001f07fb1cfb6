"""Messages between a node and the process of one of its actors, over a pair of sockets of theirs.

They never leave the machine, and both ends run the same code: no version stands in them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from zactor.kernel.messages.base import Message


# -- to the process --------------------------------------------------------------------------
class BeginActor(Message, frozen=True, tag=1):
    """Make the actor and run on_start; exactly one ActorBegun comes back, or the process ends.

    One that `waits` only loads the code now, and says ActorBegun then, and again after each of
    RestoreActor and StartActor: it takes over from another process.
    """

    recipe: bytes  # a pickle of what makes it when it is called
    name: str
    uid: int
    type: str
    node: str
    policy: str
    paths: tuple[str, ...]  # where modules are looked for; (): where they are anyway
    waits: bool = False


class RestoreActor(Message, frozen=True, tag=5):
    """Make the actor, with what its former process handed over."""

    state: bytes | None  # encoded; None: nothing


class StartActor(Message, frozen=True, tag=6):
    """Run on_start: the former process has run its on_stop."""


class HandleMessage(Message, frozen=True, tag=2):
    """Do an action, or call a hook; exactly one Handled comes back, or the process ends."""

    number: int
    action: str
    payload: bytes
    is_hook: bool
    is_plain: bool  # the result is wanted as plain data
    buffers: tuple[bytes, ...] = ()  # of the payload


class EndActor(Message, frozen=True, tag=3):
    """Cancel what is awaited, run on_stop, and end the process."""

    reason: str


class AnswerOutcome(Message, frozen=True, tag=4):
    """What the actor asked for has ended: `kind` is "" and `payload` a value, or an error's."""

    number: int
    payload: bytes
    kind: str = ""
    message: str = ""
    fields: dict[str, str] = msgspec.field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()  # of the payload


class LookAtPanel(Message, frozen=True, tag=7):
    """Say what the actor's panel shows; one PanelShown comes back."""


# -- from the process ------------------------------------------------------------------------
class ActorBegun(Message, frozen=True, tag=17):
    """It runs, or is as far as it was told to be; or `kind` says why it isn't."""

    kind: str = ""
    message: str = ""
    fields: dict[str, str] = msgspec.field(default_factory=dict)
    signals: list[str] = msgspec.field(default_factory=list)  # of its class, as what follows
    actions: list[str] = msgspec.field(default_factory=list)
    controls: list[dict[str, Any]] = msgspec.field(default_factory=list)  # of its panel
    keeps_state: bool = False  # state() of it can be called
    reentrant: frozenset[str] = frozenset()  # actions that are let in while another waits


class Handled(Message, frozen=True, tag=18):
    """A message was handled: as AnswerOutcome."""

    number: int
    payload: bytes
    kind: str = ""
    message: str = ""
    fields: dict[str, str] = msgspec.field(default_factory=dict)


class AskFrom(Message, frozen=True, tag=19):
    """The actor asks another, or tells it something where `number` is 0."""

    number: int
    actor: str
    action: str
    payload: bytes


class AskWithdrawn(Message, frozen=True, tag=25):
    """The actor waits no more for what it asked under that number."""

    number: int


class AskAwaited(Message, frozen=True, tag=27):
    """The actor's action waits for what was asked under that number, until that has ended."""

    number: int
    lasts: bool = True  # for a while already; else it is told for those who are let in meanwhile


class EmitFrom(Message, frozen=True, tag=20):
    """The actor sends a signal."""

    action: str
    payload: bytes


class GroupFrom(Message, frozen=True, tag=21):
    """The actor enters or leaves a group, or sends to some."""

    number: int
    what: str  # "join", "leave" or "multicast"
    groups: tuple[str, ...]
    payload: bytes = b""
    service: str = ""
    discard: bool = False


class StopFrom(Message, frozen=True, tag=22):
    """The actor wants to end after the message that it handles."""


class ActorEnded(Message, frozen=True, tag=23):
    """on_stop has come to its end, or `kind` says how it failed; the process ends."""

    kind: str = ""
    message: str = ""
    fields: dict[str, str] = msgspec.field(default_factory=dict)


class ProcessFailed(Message, frozen=True, tag=24):
    """The process gives up, and why."""

    reason: str


class PanelShown(Message, frozen=True, tag=26):
    """What the actor's panel shows: plain data by the names of its attributes."""

    values: dict[str, Any]


ToProcess = (
    BeginActor | HandleMessage | EndActor | AnswerOutcome | LookAtPanel | RestoreActor | StartActor
)
FromProcess = (
    ActorBegun
    | Handled
    | AskFrom
    | AskWithdrawn
    | AskAwaited
    | EmitFrom
    | GroupFrom
    | StopFrom
    | ActorEnded
    | ProcessFailed
    | PanelShown
)

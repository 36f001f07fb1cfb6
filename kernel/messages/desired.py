"""Operations about what a file wants of the network: see PROTOCOL.md, What should be there."""

from __future__ import annotations

from zactor.kernel.messages.base import Message


class PlanWish(Message, frozen=True, tag=150):
    """What would make the network as a file wants it? Nothing changes."""

    wish: str  # as JSON; "": the one that is kept of `file`
    file: str = ""
    prune: bool = True  # remove what the file made and no longer names
    remove_all: bool = False  # also where that is more than half
    adopt: bool = False  # take over what was made by hand
    anyway: bool = False  # also wires and arguments that the classes don't have


class ApplyWish(Message, frozen=True, tag=151):
    """Make the network so, in one transaction."""

    wish: str
    prune: bool = True
    remove_all: bool = False
    adopt: bool = False
    digest: str = ""  # of the plan that was shown: this one or nothing; "": whatever is due
    check: str = ""  # a clock: nothing in the file's scope has changed since; "": isn't asked
    anyway: bool = False


class UndoChange(Message, frozen=True, tag=152):
    """Take the change at a clock back."""

    clock: str


class ExportWish(Message, frozen=True, tag=153):
    """The network as a wish."""

    name: str  # of the file; "": of the only one


class DrainNode(Message, frozen=True, tag=158):
    """No actor is to run there from now on: those that do move, or stop."""

    node: str
    deadline_s: float = -1.0  # then what is left stops at once; below 0: never


class ResumeNode(Message, frozen=True, tag=159):
    """Actors may run there again."""

    node: str


DesiredChanges = ApplyWish | UndoChange | DrainNode | ResumeNode
DesiredReads = PlanWish | ExportWish

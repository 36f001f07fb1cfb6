"""Every error that zactor raises, as one tree.

    ZactorError
      ConfigError          a setting is wrong: names it, its value, what is allowed
        TermError            text is no term, or a goal can't be solved: carries the column
        UnfitArguments       what was named can't take these: says what it takes
      ProtocolError
        LocalProtocolError   we would break the protocol: a bug of the caller
        RemoteProtocolError  a peer broke it: drop the frame or the peer, keep the node
      NotReachable         no node answers there
      Refused              a node answered and said no: version, cluster, key, rule
        Buried               that life of the node counts as dead: it comes back as a new one
        Unconfigured         the node there has no name yet
        NotPrimary           this side may not change the knowledge base now
        AlreadyExists        the name is taken
        MayLose              something may be lost by it: says what, and how to ask for it
        BundleRefused        the code can't run there, or isn't what its hash says
      NoSuchThing          what was named isn't there
        NoSuchActor
        NoSuchAction         the actor has no such action: says which it has
      ScriptError          a line of a script failed: carries file and line
      Interrupted          somebody stopped waiting: what was begun goes on
      ActorError
        RemoteActionError    the action raised: carries the remote traceback
        NotDelivered         the message was certainly not handled
        OutcomeUnknown       the message may or may not have been handled
        MailboxFull          a limit was reached and the policy says: refuse
        TimedOut             no answer in the time the caller gave
        AskDeadlock          an ask would wait for itself: names the cycle
        ActorDied            the process of the actor is gone: says how it ended

Every class has the exit code of a command that ends with it; `to_wire` and `from_wire` carry an
error from a node to a client without losing its class.
"""

from __future__ import annotations

from typing import ClassVar

from zactor.kernel.homes import at_home

TEXT_CHARS_MAX = 64 << 10  # of one text of an error on the wire

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DEGRADED = 3
EXIT_NOT_REACHABLE = 4
EXIT_NO_SUCH_THING = 5
EXIT_REFUSED = 6
EXIT_MAY_LOSE = 7
EXIT_TIMED_OUT = 124
EXIT_INTERRUPTED = 130


class ZactorError(Exception):
    """Anything zactor raises on purpose. `str()` is one line: what happened, to whom, what next."""

    exit_code: ClassVar[int] = EXIT_FAILED

    def fields(self) -> dict[str, str]:
        """What the error carries beside its message, as text, for the wire and for --json."""
        return {}


class ConfigError(ZactorError):
    """A setting is wrong; the message names it, its value and what is allowed."""

    exit_code = EXIT_USAGE


class TermError(ConfigError):
    """Text is no Prolog term, or a term can't be used so; the message says what was due."""

    def __init__(self, message: str, *, column: int = 0, expected: str = "") -> None:
        """`column` counts from 1, 0 where there is no text; `expected` is "" where nothing fits."""
        super().__init__(message)
        self.column = column
        self.expected = expected

    def fields(self) -> dict[str, str]:
        return {"column": str(self.column), "expected": self.expected}


class SpreadFileError(ConfigError):
    """A configuration file of Spread can't be read: "FILE:LINE: what is wrong". Its exit code is
    the one of Spread's daemon, which scripts know."""

    exit_code = EXIT_FAILED


class UnfitArguments(ConfigError):
    """What was named can't take these arguments; the message says what it takes."""


class ProtocolError(ZactorError):
    """The protocol was broken."""


class LocalProtocolError(ProtocolError):
    """We would break the protocol; nothing changed."""


class RemoteProtocolError(ProtocolError):
    """A peer broke the protocol; what it sent was dropped and counted."""


class NotReachable(ZactorError):
    """No node answers there."""

    exit_code = EXIT_NOT_REACHABLE


class Refused(ZactorError):
    """A node answered and said no."""

    exit_code = EXIT_REFUSED


class Buried(Refused):
    """This incarnation counts as dead at the node that was asked."""


class Unconfigured(Refused):
    """The node has no name yet: nothing but a name can be given to it."""


class NotPrimary(Refused):
    """This side of the cluster may not change the knowledge base now."""


class AlreadyExists(Refused):
    """The name is taken."""


class MayLose(Refused):
    """Something may be lost by what was asked, and who asked hasn't said that he knows it."""

    exit_code = EXIT_MAY_LOSE


class BundleRefused(Refused):
    """The code can't run on that node, or isn't what its hash says."""


class NoRoom(ZactorError):
    """The disk is full, or a quota is used up: what was to be written isn't there."""


class NoSuchThing(ZactorError):
    """What was named isn't there."""

    exit_code = EXIT_NO_SUCH_THING


class NoSuchActor(NoSuchThing):
    """No actor of that name."""


class NoSuchAction(NoSuchThing):
    """The actor has no action of that name."""


class ScriptError(ZactorError):
    """A line of a script failed; the message begins with FILE:LINE."""


class ActorError(ZactorError):
    """Something went wrong between a sender and an actor."""


class RemoteActionError(ActorError):
    """The action raised. Nothing of the remote exception is unpickled: it comes as text."""

    def __init__(
        self,
        message: str,
        *,
        remote_type: str = "",
        traceback: str = "",
        node: str = "",
        actor: str = "",
        action: str = "",
    ) -> None:
        """Args are text; `traceback` is the remote one, many lines, ready to print."""
        super().__init__(message)
        self.remote_type = remote_type
        self.traceback = traceback
        self.node = node
        self.actor = actor
        self.action = action

    def fields(self) -> dict[str, str]:
        return {
            "remote_type": self.remote_type,
            "traceback": self.traceback,
            "node": self.node,
            "actor": self.actor,
            "action": self.action,
        }

    def __str__(self) -> str:
        where = f"{self.actor}.{self.action} on {self.node}" if self.actor else "the action"
        return f"{where} raised {self.remote_type}: {self.args[0]}"


class NotDelivered(ActorError):
    """The message was certainly not handled; sending it again is safe."""

    def __init__(self, reason: str) -> None:
        """`reason` says why, in words."""
        super().__init__(reason)
        self.reason = reason

    def fields(self) -> dict[str, str]:
        return {"reason": self.reason}


class OutcomeUnknown(ActorError):
    """The message was on its way when the other side went: it may or may not have been handled."""


class MailboxFull(ActorError):
    """A bounded queue is full and its policy is to refuse."""


class Interrupted(ZactorError):
    """Somebody stopped waiting; what was begun goes on."""

    exit_code = EXIT_INTERRUPTED


class TimedOut(ActorError):
    """No answer in the time the caller gave; the action may still run."""

    exit_code = EXIT_TIMED_OUT


class AskDeadlock(ActorError):
    """Actors wait for each other's answers in a ring; the message names it. The others go on."""


class ActorDied(ActorError):
    """The process that an actor had of its own is gone; says how, and what it said last."""


def _tree(root: type[ZactorError]) -> dict[str, type[ZactorError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


_BY_NAME = _tree(ZactorError)
for _kind in _BY_NAME.values():
    at_home(_kind)


def text_of(what: object) -> str:
    """Return `str(what)`, or what stands for it where user code fails even there.

    Lone surrogates, as in the name of an odd file, become escapes: they have no UTF-8.
    """
    try:
        return str.encode(str(what), "utf-8", "backslashreplace").decode()
    except BaseException:
        return f"<{type(what).__name__} whose text can't be had: its __str__ fails>"


def said(error: BaseException) -> str:
    """Return the error's class and text in one line, whatever its own code does."""
    return f"{type(error).__name__}: {text_of(error)}"


def to_wire(error: BaseException) -> tuple[str, str, dict[str, str]]:
    """Return (class name, message, fields). What isn't ours becomes a ZactorError that names it."""
    if not isinstance(error, ZactorError):
        return "ZactorError", _shortened(said(error)), {}
    message = text_of(error.args[0]) if error.args else ""
    fields = {name: _shortened(text) for name, text in error.fields().items()}
    return type(error).__name__, _shortened(message), fields


def _shortened(text: str) -> str:
    """Return `text` without its middle where it is too long to travel: a traceback's ends tell."""
    if len(text) <= TEXT_CHARS_MAX:
        return text
    half = TEXT_CHARS_MAX // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def from_wire(name: str, message: str, fields: dict[str, str]) -> ZactorError:
    """Rebuild what `to_wire` took apart; an unknown class becomes a plain ZactorError."""
    kind = _BY_NAME.get(name, ZactorError)
    if kind is RemoteActionError:
        known = {"remote_type", "traceback", "node", "actor", "action"}
        return RemoteActionError(message, **{k: v for k, v in fields.items() if k in known})
    if kind is TermError:
        column = fields.get("column", "")
        return TermError(
            message,
            column=int(column) if column.isdecimal() and len(column) < 10 else 0,
            expected=fields.get("expected", ""),
        )
    return kind(message)

"""Outcomes of messages: handled, failed, or a dead letter; whoever waits is told.

A signal that isn't handled becomes a dead letter at its sender's node; an ask that isn't ends with
an error at who asked. Nothing ends in silence.
"""

from __future__ import annotations

import itertools
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from zactor.kernel.actors.user_errors import AbandonedAction, trace_of
from zactor.kernel.errors import (
    MailboxFull,
    NoSuchAction,
    NotDelivered,
    OutcomeUnknown,
    RemoteActionError,
    said,
    text_of,
)
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Undelivered
from zactor.kernel.runtime.due_back import DueBack
from zactor.kernel.runtime.envelope import (
    AnyEnvelope,
    ArrivedSignal,
    DeadLetter,
    Envelope,
    PeerPort,
    SharedPayload,
)
from zactor.kernel.runtime.place_in_code import place_of_error

log = structlog.get_logger()

DeadLetterSink = Callable[[DeadLetter], None]
TraceSink = Callable[[str, dict[str, Any]], None]
FailureSink = Callable[[str, str, str, str], None]
"""Called with actor, action, error and FILE:LINE when an action raised. Threads: any."""


class Receiver(Protocol):
    """Whom a message was for, as far as its outcome depends on it."""

    name: str
    uid: int
    raised: int  # actions that raised
    mailbox: deque[AnyEnvelope]
    actor: Any

    def left(self, payload: SharedPayload) -> None:
        """A message from the door is in its mailbox no more."""
        ...

    def is_driven_out(self, error: BaseException) -> bool:
        """Whether the error is for who drives the loop: Ctrl-C came there."""
        ...


class Outcomes:
    """Gives each message of one node its end. Threads: all by any."""

    def __init__(
        self,
        node: NodeId | str,
        *,
        dead_letter: DeadLetterSink,
        trace: TraceSink | None = None,
        failed: FailureSink | None = None,
    ) -> None:
        """Args: as of Runtime."""
        self.node = str(node)
        self.node_name = node.name if isinstance(node, NodeId) else node
        self.trace = trace
        self.numbers = itertools.count(1)  # of this node's signals, as far as somebody needs one
        self._dead_letter = dead_letter
        self._failed = failed
        # Says of an actor and what an action was given what may have been wrong with that.
        self.explain: Callable[[Any, Sequence[Any]], str] = lambda actor, args: ""
        # Whether a wire gets back what isn't handled: asked with uid, action, name of its reactor.
        self.holds: Callable[[int, str, str], bool] = lambda emitter, action, reactor: False
        self.due_back = DueBack()

    # -- the event log -----------------------------------------------------------------------
    def sig(self, number: int) -> str:
        """The id of a signal of this node in traces; "" where there are none."""
        return "" if self.trace is None else f"{self.node}#{number}"

    def trace_event(self, event: str, fields: dict[str, Any]) -> None:
        """Write one event."""
        if self.trace is not None:
            self.trace(event, fields)

    def trace_accept(self, sig: str, sender: str, target: str) -> None:
        """A signal was taken from its sender."""
        if sig and self.trace is not None:
            self.trace("accept", {"sig": sig, "from": sender, "to": target})

    def trace_handle(self, sig: str, sender: str, target: str) -> None:
        """An action begins to handle a signal."""
        if sig and self.trace is not None:
            self.trace("handle", {"sig": sig, "from": sender, "to": target})

    def trace_dead(self, sig: str, sender: str, target: str, reason: str) -> None:
        """Nobody will handle a signal."""
        if sig and self.trace is not None:
            fields = {"sig": sig, "from": sender, "to": target, "reason": reason}
            self.trace("deadletter", fields)

    # -- ends --------------------------------------------------------------------------------
    def dead(
        self,
        sender: str,
        target: str,
        action: str,
        reason: str,
        *,
        number: int = 0,
        sig: str = "",
    ) -> None:
        """Keep a dead letter of a signal from this node."""
        self.trace_dead(sig, sender, target, reason)
        self._dead_letter(
            DeadLetter(
                sender=sender,
                target=target,
                action=action,
                reason=reason,
                node=self.node_name,
                number=number,
                at=time.time(),
            )
        )

    def refuse(
        self,
        receiver: Receiver,
        message: AnyEnvelope,
        error: MailboxFull | NotDelivered,
        *,
        taken: bool = False,
        away: bool = False,
    ) -> None:
        """Let whoever sent it know that `receiver` won't handle the message.

        Args:
            taken: its credit is counted already.
            away: it takes no message any more; what its wire holds is given back.

        Raises:
            MailboxFull: `error` is one and the sender stands at this very line.
        """
        reason = str(error)
        if isinstance(message, tuple):
            if isinstance(error, MailboxFull):
                raise error
            action, _, sender = message
            self.dead(sender, receiver.name, action, reason)
            return
        shared = message.shared_payload
        port = None if shared is None else shared.port
        if shared is not None and not taken:
            if port is None:
                receiver.left(shared)
            elif shared.is_last_taken():
                port.consumed(1)
        if message.asker is not None:
            message.asker.set_error(error)
        elif message.hook and message.call is not None:  # the actor's own time, which is over
            message.call.left_out()
        elif message.hook:  # of a group: nobody waits to hear of it
            self.dead(message.sender, receiver.name, message.action, reason)
        elif shared is not None and port is not None:
            action, emitter = message.action, shared.sender_uid
            payload = self._given_back(port, shared, action, receiver.name) if away else b""
            self.bounce(port, receiver.uid, emitter, shared.number, action, reason, payload)
        else:
            if isinstance(error, MailboxFull):
                self.trace_dead(message.sig, message.sender, receiver.name, reason)
                try:
                    raise error
                finally:  # else frame and error would keep each other, and the message
                    del error
            self.dead(message.sender, receiver.name, message.action, reason, sig=message.sig)

    def bounce(
        self,
        port: PeerPort,
        target: int,
        sender: int,
        number: int,
        action: str,
        reason: str,
        payload: bytes = b"",
    ) -> None:
        """Tell a node that a signal of its won't be handled here; with a payload: give it back."""
        port.put(Undelivered((target,), sender, number, action, reason, payload))

    def _given_back(
        self, port: PeerPort, shared: SharedPayload, action: str, reactor: str
    ) -> bytes:
        """Return what a wire that holds gets back of a signal; b"": it gets none."""
        if shared.buffers or not self.holds(shared.sender_uid, action, reactor):
            return b""
        self.due_back.add(port, reactor)  # before it leaves: what comes behind it must follow
        return shared.payload

    def bounced(self, port: PeerPort, target: int, name: str, signal: ArrivedSignal) -> None:
        """Nobody is here whom a signal is for."""
        reason = f"no such actor on {self.node_name}: {name}"
        payload = self._given_back(port, signal, signal.action, name)
        emitter, number, action = signal.sender_uid, signal.number, signal.action
        self.bounce(port, target, emitter, number, action, reason, payload)

    def goes_back(self, receiver: Receiver, message: AnyEnvelope) -> bool:
        """Whether a message comes behind one that was given back, and must not overtake it."""
        if not isinstance(message, ArrivedSignal):
            return False
        if not self.due_back.follows(receiver.name, message.port):
            return False
        return self.holds(message.sender_uid, message.action, receiver.name)

    def sweep(self, receiver: Receiver, reason: str) -> None:
        """Refuse all that waits in a mailbox."""
        error = NotDelivered(reason)
        while True:
            try:
                message = receiver.mailbox.popleft()
            except IndexError:
                return
            self.refuse(receiver, message, error, away=True)

    def fail(self, receiver: Receiver, message: AnyEnvelope, error: BaseException) -> None:
        """An action raised: log it and tell its asker.

        Raises:
            KeyboardInterrupt: `error` is one, and somebody drives the loop.
        """
        if receiver.is_driven_out(error):
            self.interrupt(receiver, message)
            raise error
        action = message[0] if isinstance(message, tuple) else message.action
        if isinstance(error, AbandonedAction):
            self.interrupt(receiver, message)
            return
        if isinstance(error, NoSuchAction):
            self._unknown(receiver, message, error)
            return
        failure = self.failure(receiver, action, error, _arguments_of(message))
        if not isinstance(message, tuple) and message.asker is not None:
            message.asker.set_error(failure)

    def failed_elsewhere(self, receiver: Receiver, action: str, error: RemoteActionError) -> None:
        """An action raised in a process of its own, which has logged it: count and tell it."""
        receiver.raised += 1
        if self._failed is not None:
            where = _last_place(error.traceback)
            text = f"{error.remote_type}: {error.args[0]}"
            self._failed(receiver.name, action, text, where)

    def _unknown(self, receiver: Receiver, message: AnyEnvelope, error: NoSuchAction) -> None:
        """Nobody has failed but the caller: an ask ends so, all else is a dead letter."""
        if not isinstance(message, tuple) and message.asker is not None:
            message.asker.set_error(NoSuchAction(text_of(error)))
        else:
            self.refuse(receiver, message, NotDelivered(text_of(error)), taken=True)

    def interrupt(self, receiver: Receiver, message: AnyEnvelope) -> None:
        """An action was cancelled half-way, or by Ctrl-C."""
        action = message[0] if isinstance(message, tuple) else message.action
        reason = f"{receiver.name} was stopped in the middle of {action}"
        log.warning("action_interrupted", node=self.node_name, actor=receiver.name, action=action)
        if not isinstance(message, tuple) and message.asker is not None:
            message.asker.set_error(OutcomeUnknown(reason))

    def unreadable(
        self, receiver: Receiver, message: Envelope | ArrivedSignal, error: BaseException
    ) -> None:
        """The arguments of a message can't be decoded."""
        failure = self.failure(receiver, message.action, error)
        if message.asker is not None:
            message.asker.set_error(failure)
        else:
            self.refuse(
                receiver, message, NotDelivered(f"unreadable: {text_of(error)}"), taken=True
            )

    def failure(
        self, receiver: Receiver, action: str, error: BaseException, args: Sequence[Any] = ()
    ) -> RemoteActionError:
        """Log what an action raised and return what the asker gets for it."""
        receiver.raised += 1
        hint = self.explain(receiver.actor, args) if args else ""
        more = {"hint": hint} if hint else {}
        # The first frame is the runtime's own.
        trace = error.__traceback__
        inner = trace.tb_next if trace is not None and trace.tb_next is not None else trace
        text = trace_of(error, inner)
        log.error(
            "action_failed",
            node=self.node_name,
            actor=receiver.name,
            action=action,
            error=said(error),
            exception=text,
            **more,
        )
        if self._failed is not None:
            self._failed(receiver.name, action, said(error), place_of_error(inner))
        return RemoteActionError(
            f"{text_of(error)} ({hint})" if hint else text_of(error),
            remote_type=type(error).__name__,
            traceback=text,
            node=self.node_name,
            actor=receiver.name,
            action=action,
        )


def _arguments_of(message: AnyEnvelope) -> Sequence[Any]:
    """What a message gave its action, as far as it was read."""
    if isinstance(message, tuple):
        return message[1]
    shared = message if isinstance(message, ArrivedSignal) else message.shared_payload
    if shared is None:
        return message.args
    value: tuple[Sequence[Any], object] | None = shared.value
    return value[0] if value is not None else ()


def _last_place(traceback: str) -> str:
    """The FILE:LINE of the first frame in a traceback's text: the action's own, or ""."""
    found = re.search(r'File "([^"]+)", line (\d+)', traceback)
    return f"{found[1]}:{found[2]}" if found else ""

"""The request loop of a client's thread: doors are tried in turn, answers find who asked.

Everything here runs in one thread, the one of connection.py. A request is sent only through a door
that has answered before, so a node that isn't there can't leave an outcome in doubt.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import secrets
import socket
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from zactor.client.author import author
from zactor.client.endpoints import find_endpoints, parse_endpoint, unopened, why_nobody
from zactor.client.pending_request import PendingRequest
from zactor.kernel import errors, limits
from zactor.kernel.messages.operations import (
    Answer,
    Changes,
    Inspect,
    Operation,
    Problem,
    Reads,
    Request,
    Subject,
)
from zactor.kernel.transport import keys, sockets
from zactor.kernel.transport.addresses import foreign, plain
from zactor.kernel.wire import codec
from zactor.kernel.wire.request_table import RequestTable

_CUT_OFF = (
    zmq.Event.DISCONNECTED
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
)
_WATCHED = _CUT_OFF | zmq.Event.CONNECT_RETRIED | zmq.Event.HANDSHAKE_FAILED_AUTH
_PROBE = Inspect(what=Subject.NODES, argument="")
_FOREVER = float("inf")
_GRACE_S = 1.0  # the node gives up that much after us
_DEADLINES_SLACK = 4_096  # deadlines of finished requests that may lie in the heap


class _Door:
    """One DEALER towards one node, with the monitor that tells when the node goes."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, home: Path) -> None:
        if not os.path.lexists(home / "keys" / keys.CLUSTER_FILE):
            raise foreign(endpoint)  # a client makes no cluster of its own
        known = keys.cluster_keys(home)
        self.endpoint = endpoint
        self.open = False  # it has answered
        self.cuts = 0  # handshakes that were cut off
        self.begun = time.monotonic()  # of the handshake that goes on
        self.full = True  # it takes nothing at the moment: not connected yet, or too much queued
        self.probe_due = False
        self.dealer = sockets.connect_door(context, endpoint, known.door, known.server.public)
        # Refusals are told again at each reconnect, so one that came before this line is no loss.
        self.monitor = self.dealer.get_monitor_socket(_WATCHED)

    def close(self) -> None:
        """Drop what is queued and let the node go."""
        self.dealer.disable_monitor()
        self.dealer.close(linger=0)
        self.monitor.close(linger=0)


class RequestLoop:
    """The state of the thread; `step` is one turn of its loop."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        *,
        home: Path,
        first: str | None,
        inbox: deque[PendingRequest],
        wake_reader: socket.socket,
        who: str = "",
    ) -> None:
        """`inbox` is filled by other threads, which then write to what `wake_reader` reads."""
        self.context = context
        self.home = home
        self.first = first  # the endpoint that the caller named
        self.inbox = inbox
        self.wake_reader = wake_reader
        self._who = who
        self.queue: deque[PendingRequest] = deque()  # in order, not sent yet
        self.sent: RequestTable[PendingRequest] = RequestTable()
        self.door: _Door | None = None
        self._known: list[str] = []  # doors of this cluster, learned from its nodes
        self._untried: list[str] | None = None  # doors left to try; None: not looking
        self._excuses: list[errors.ZactorError] = []  # why the doors tried so far didn't open
        self._prefix = f"r{secrets.token_hex(5)}"  # of ids; it reads well in the knowledge base
        self._deadlines: list[tuple[float, int, PendingRequest]] = []
        self._deadlines_count = itertools.count()  # of all there ever were
        self._heard = 0.0  # monotonic s of the last answer
        self._probe_number = 0  # the probe that waits for its answer; 0: none
        self._probe_until = _FOREVER
        self._poller = zmq.Poller()
        self._poller.register(wake_reader, zmq.POLLIN)

    def step(self) -> None:
        """Take what was asked, send it, wait until something happens, and act on it."""
        self._take()
        self._find_door()
        self._send()
        for source, events in self._poller.poll(self._pause_ms()):
            self._hear(source, events)
        self._expire(time.monotonic())

    def leave(self, reason: errors.ZactorError) -> None:
        """End everything: with `reason` what was never sent."""
        if self.door is not None:
            self._lose(self.door, "this connection was closed")
        self._take()
        self._fail_queue(reason)

    # -- requests ----------------------------------------------------------------------------
    def _take(self) -> None:
        while self.inbox:
            pending = self.inbox.popleft()
            self.queue.append(pending)
            if pending.timeout < _FOREVER:
                heapq.heappush(
                    self._deadlines, (pending.deadline, next(self._deadlines_count), pending)
                )

    def _send(self) -> None:
        door = self.door
        if door is None or not door.open:
            return
        if len(self.sent) >= limits.DOOR_REQUESTS_MAX:
            self._forget_cancelled()
        while self.queue and len(self.sent) < limits.DOOR_REQUESTS_MAX and not door.full:
            pending = self.queue.popleft()
            if pending.operation is None:
                pending.settle(door.endpoint)
            elif not pending.future.done() and not self._dispatch(door, pending, pending.operation):
                self.queue.appendleft(pending)
                return

    def _dispatch(self, door: _Door, pending: PendingRequest, operation: Operation) -> bool:
        number = self.sent.add(pending)
        if isinstance(operation, Changes) and not pending.id:
            pending.id = f"{self._prefix}_{number}"
        who = (self._who or author()) if pending.id else ""
        request = Request(number, operation, _given(pending.deadline), pending.id, who)
        try:
            parts = codec.encode_request(request)
            pending.bytes = sum(map(len, parts))
            if pending.is_too_much(each for _, each in self.sent):
                self.sent.remove(number)
                return False
            door.dealer.send_multipart(parts, flags=zmq.DONTWAIT)
        except errors.ZactorError as error:  # too long, for one
            self.sent.remove(number)
            pending.fail(error)
            return True
        except zmq.Again:
            self.sent.remove(number)
            door.full = True
            self._poller.modify(door.dealer, zmq.POLLIN | zmq.POLLOUT)
            return False
        pending.number = number
        return True

    def _forget_cancelled(self) -> None:
        for number, pending in self.sent:
            if pending.future.done():
                self.sent.remove(number)

    def _expire(self, now: float) -> None:
        silent = False
        while self._deadlines and self._deadlines[0][0] <= now:
            pending = heapq.heappop(self._deadlines)[2]
            self.sent.remove(pending.number)
            if not pending.future.done():
                pending.fail(self._too_late(pending))
                silent = silent or (pending.number > 0 and self._heard < pending.asked)
        if len(self._deadlines) > len(self.sent) + len(self.queue) + _DEADLINES_SLACK:
            self._deadlines = [each for each in self._deadlines if not each[2].future.done()]
            heapq.heapify(self._deadlines)
        if self.door is not None:
            if now >= self._probe_until:
                self._lose(self.door, f"silent for {limits.CLIENT_PROBE_MS} ms")
            elif silent:  # the node may hang: find out before the next request is lost too
                self._probe(self.door)

    def _too_late(self, pending: PendingRequest) -> errors.ZactorError:
        if (self.door is None or not pending.number) and not pending.lost:
            return errors.NotReachable(
                f"no node of {self.home} answered in {pending.timeout:g} s: see `zactor doctor`"
            )
        there = plain(self.door.endpoint) if self.door is not None else "any node"
        return errors.TimedOut(
            f"no answer from {there} in {pending.timeout:g} s: it may still be done"
        )

    def _pause_ms(self) -> int | None:
        until = self._probe_until
        if self._deadlines:
            until = min(until, self._deadlines[0][0])
        if until == _FOREVER:
            return None
        return max(0, int((until - time.monotonic()) * 1000) + 1)

    def _fail_queue(self, error: errors.ZactorError) -> None:
        while self.queue:
            pending = self.queue.popleft()
            if pending.lost:  # no other node can tell what became of it
                pending.fail(errors.OutcomeUnknown(f"{error}: it may have been done, look first"))
            else:
                pending.fail(error)

    # -- doors -------------------------------------------------------------------------------
    def _find_door(self) -> None:
        """With something to send and no door: try the next one, or give up."""
        while self.queue and self.door is None:
            if self._untried is None:
                self._excuses = []
                self._untried = self._candidates()
            if self._untried:
                self._try(self._untried.pop(0))
            else:
                self._untried = None
                self._fail_queue(self._why_no_door())

    def _candidates(self) -> list[str]:
        if self.first is None:
            return list(dict.fromkeys([*find_endpoints(self.home), *self._known]))
        if not self._known:
            return [self.first]  # the caller named a door: at first no other will do
        return list(dict.fromkeys([self.first, *self._known]))

    def _try(self, endpoint: str) -> None:
        try:
            door = _Door(self.context, endpoint, self.home)
        except errors.ZactorError as error:
            self._excuses.append(error)
            return
        except zmq.ZMQError as error:
            self._excuses.append(errors.NotReachable(f"{plain(endpoint)}: {error}"))
            return
        self.door = door
        self._poller.register(door.dealer, zmq.POLLIN | zmq.POLLOUT)
        self._poller.register(door.monitor, zmq.POLLIN)
        self._probe(door)

    def _probe(self, door: _Door) -> None:
        """Ask for a sign of life, to come within CLIENT_PROBE_MS, unless that is going on."""
        if self._probe_until == _FOREVER:
            self._probe_until = time.monotonic() + limits.CLIENT_PROBE_MS / 1000
            door.probe_due = True
            if not door.full:
                self._send_probe(door)

    def _send_probe(self, door: _Door) -> None:
        probe = PendingRequest(_PROBE, Future(), time.monotonic(), _FOREVER)
        if self._dispatch(door, probe, _PROBE):
            self._probe_number = probe.number
            door.probe_due = False

    def _why_no_door(self) -> errors.ZactorError:
        for error in self._excuses:
            if isinstance(error, errors.Refused):
                return error
        if self._excuses:
            return self._excuses[0]
        start = "start one with `zactor master` or `zactor node --name n1`"
        return errors.NotReachable(f"no node runs in {self.home}: {start}")

    def _lose(self, door: _Door, why: str, excuse: errors.ZactorError | None = None) -> None:
        """Give the door up and end what was sent through it."""
        assert door is self.door, "a door can be lost only once"
        self.door = None
        self._poller.unregister(door.dealer)
        self._poller.unregister(door.monitor)
        door.close()
        self._probe_number, self._probe_until = 0, _FOREVER
        sent = self.sent.clear()
        if not door.open:
            self._excuses.append(excuse or unopened(door.endpoint, why))
        again = [pending for pending in sent if pending.id]
        for pending in again:
            pending.number, pending.lost = 0, True
        self.queue.extendleft(reversed(again))
        for pending in sent:
            gone = f"{plain(door.endpoint)} went away before it answered ({why})"
            if pending.id:
                continue
            if isinstance(pending.operation, Reads):
                pending.fail(errors.NotReachable(f"{gone}: ask again"))
            else:
                pending.fail(errors.OutcomeUnknown(f"{gone}: it may have been done, look first"))

    # -- what arrives ------------------------------------------------------------------------
    def _hear(self, source: object, events: int) -> None:
        door = self.door
        if source == self.wake_reader.fileno():
            with contextlib.suppress(BlockingIOError):
                self.wake_reader.recv(4096)
        elif door is not None and source is door.dealer:
            if door.full and events & zmq.POLLOUT:
                door.full = False
                self._poller.modify(door.dealer, zmq.POLLIN)
                if door.probe_due:
                    self._send_probe(door)
            self._read(door)
        elif door is not None and source is door.monitor:
            self._watch(door)

    def _read(self, door: _Door) -> None:
        while door is self.door:
            try:
                parts = door.dealer.recv_multipart(flags=zmq.DONTWAIT)
            except zmq.Again:
                return
            self._heard = time.monotonic()
            try:
                self._answer(door, codec.decode_outbound(parts))
            except errors.RemoteProtocolError as error:
                self._lose(door, f"it speaks another language: {error}")

    def _answer(self, door: _Door, answer: Answer | Problem) -> None:
        if not door.open:
            door.open = True
            self._untried = None
        outcome = self.sent.take(answer, plain(door.endpoint))
        if outcome is None:
            return  # more is to come; or it timed out or was cancelled
        pending, result = outcome.asker, outcome.result
        if answer.number == self._probe_number:
            self._probe_number, self._probe_until = 0, _FOREVER
        if isinstance(result, errors.ZactorError):
            if pending.lost and isinstance(result, errors.NotPrimary | errors.MailboxFull):
                # That holds for this node; the one that went may have done it before.
                result = errors.OutcomeUnknown(f"{result}: it may have been done, look first")
            pending.fail(result)
            return
        try:
            value = pending.read(result)
        except errors.RemoteProtocolError as error:
            pending.fail(error)
            return
        if pending.operation == _PROBE:
            self._learn(value)
        pending.settle(value)

    def _learn(self, rows: object) -> None:
        """Remember where the other nodes are, for the day when this one goes."""
        with contextlib.suppress(msgspec.ValidationError, errors.ConfigError):
            self._known = [
                parse_endpoint(str(node["address"]))
                for node in msgspec.convert(rows, list[dict[str, object]])
                if node.get("state") == "up" and node.get("address")
            ]

    def _watch(self, door: _Door) -> None:
        while door is self.door and door.monitor.poll(0):
            event = recv_monitor_message(door.monitor)["event"]
            if event == zmq.Event.HANDSHAKE_FAILED_AUTH:
                self._lose(door, "refused", foreign(door.endpoint))
            elif event & _CUT_OFF:
                self._cut_off(door)
            elif not door.open and not door.cuts:
                self._lose(door, why_nobody(door.endpoint))

    def _cut_off(self, door: _Door) -> None:
        self._read(door)  # what came before the end still counts
        if door is self.door:
            door.cuts += 1
            # Who has another key cuts us off at once; who is stopped or stuck says nothing.
            silent = time.monotonic() - door.begun > limits.HANDSHAKE_MS / 1000 * 0.8
            door.begun = time.monotonic()
            if door.open:
                self._lose(door, "disconnected")
            elif silent:
                self._lose(door, "its process is there and says nothing: stopped, or stuck")
            elif door.cuts >= limits.CLIENT_KNOCKS_MAX:
                self._lose(door, "cut off", foreign(door.endpoint))


def _given(deadline: float) -> float:
    """Return how many seconds the node has; a little more than we, so that our words are heard."""
    left = deadline - time.monotonic()
    return max(0.1, left) + _GRACE_S if math.isfinite(left) else 0.0

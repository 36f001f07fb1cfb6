"""A client's connection to the door of a node, whichever node that is at the moment.

One background thread owns the sockets, so that blocking callers and any number of event loops
share one implementation. Doors are tried in turn; when a node goes away, what was asked of it ends
at once, and the next request goes to another node of the same cluster.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from zactor.client.endpoints import find_endpoints, parse_endpoint
from zactor.client.pending_request import PendingRequest
from zactor.client.request_loop import RequestLoop
from zactor.kernel import errors, forks, limits
from zactor.kernel.messages.operations import Operation
from zactor.kernel.transport import sockets
from zactor.kernel.transport.private_files import check_home
from zactor.kernel.wire import results
from zactor.supervisor.membership import run_directory

__all__ = ["Connection", "find_endpoints", "parse_endpoint"]


class Connection:
    """A client of a cluster, at one door at a time.

    Threads: every public method may be called from any thread.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        who: str = "",
    ) -> None:
        """Nothing is sent before the first request.

        Args:
            endpoint: HOST or HOST:PORT of the first door; None: any node of this home.
            home: where the cluster's keys are; None: $ZACTOR_HOME or ~/.zactor.
            who: makes changes; "": this user and program, see author.py.

        Raises:
            ConfigError: `endpoint` is none, or another user may change the home.
        """
        first = parse_endpoint(endpoint) if endpoint is not None else None
        self.home = run_directory.home_folder(home)
        if self.home.exists():
            check_home(self.home)
        self._inbox: deque[PendingRequest] = deque()
        self._lock = threading.Lock()
        self._closed = False
        self._why_closed = "this connection is closed: connect again"
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._context = sockets.context()
        self._loop = RequestLoop(
            self._context,
            home=self.home,
            first=first,
            inbox=self._inbox,
            wake_reader=self._wake_reader,
            who=who,
        )
        self._thread = threading.Thread(target=self._run, name="zactor-client", daemon=True)
        self._thread.start()
        forks.in_children(self, Connection._forked)

    @property
    def endpoint(self) -> str:
        """HOST:PORT of the door in use, or "" when there is none at the moment."""
        door = self._loop.door
        return door.endpoint.removeprefix("tcp://") if door is not None and door.open else ""

    def request(
        self,
        operation: Operation,
        timeout: float | None = None,
        read: Callable[[bytes], object] = results.read_result,
    ) -> Future[object]:
        """Send `operation` and return the future of its result, as plain data.

        DOOR_REQUESTS_MAX of them, or long ones of CLIENT_REQUEST_BYTES, are under way at once;
        the next CLIENT_BACKLOG_MAX wait for their turn, in order. Cancelling the future
        forgets the request; the node may still do it.

        Args:
            timeout: in s from now on, waiting included; None: CLIENT_REQUEST_S.
            read: makes another value of the encoded result, in this connection's thread; it may
                raise RemoteProtocolError.

        Raises (the last two here, the others as the future's exception):
            NotReachable: no node answers, or the node went and the request may be sent again.
            OutcomeUnknown: the node went after the request was sent: it may have been done.
            TimedOut: no answer in time. Refused: the node doesn't know our key.
            MailboxFull: more than CLIENT_BACKLOG_MAX requests wait.
            NotReachable: this connection is closed.
        """
        return self._put(operation, timeout, read)

    def ready(self, timeout: float | None = None) -> Future[object]:
        """Return a future that ends with the endpoint of an open door, or as `request` fails."""
        return self._put(None, timeout)

    def close(self) -> None:
        """End what is under way, close the sockets and wait for the thread. Again: nothing."""
        with self._lock:
            self._closed = True
        self._ring()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _put(
        self,
        operation: Operation | None,
        timeout: float | None,
        read: Callable[[bytes], object] = results.read_result,
    ) -> Future[object]:
        seconds = limits.CLIENT_REQUEST_S if timeout is None else timeout
        future: Future[object] = Future()
        pending = PendingRequest(operation, future, time.monotonic(), seconds, read)
        with self._lock:
            if self._closed:
                raise errors.NotReachable(self._why_closed)
            if len(self._inbox) + len(self._loop.queue) >= limits.CLIENT_BACKLOG_MAX:
                raise errors.MailboxFull(
                    f"{limits.CLIENT_BACKLOG_MAX} requests of this client wait already: "
                    "await some of them before sending more"
                )
            self._inbox.append(pending)
        self._ring()
        return future

    def _forked(self) -> None:
        """In a fork's child, which has no thread of this connection, and no socket to use."""
        self._lock = threading.Lock()
        self._closed = True
        self._why_closed = "the connection is of this program's parent: connect again in the child"
        loop = self._loop
        waiting = [*(pending for _, pending in loop.sent), *loop.queue, *self._inbox]
        if waiting:  # not here: who waits may hold locks that nobody gives back any more
            error = errors.NotReachable(self._why_closed)
            threading.Thread(
                target=_fail_all, args=(waiting, error), name="zactor-forked", daemon=True
            ).start()

    def _ring(self) -> None:
        # Full is fine: the thread is about to look anyway. So is closed: the thread has ended.
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"!")

    def _run(self) -> None:
        reason: errors.ZactorError = errors.NotReachable("this connection was closed")
        try:
            while not self._closed:
                self._loop.step()
        except Exception as error:  # nobody may wait for ever for an answer
            reason = errors.ZactorError(f"the client's thread ended: {error!r}")
            raise
        finally:
            with self._lock:
                self._closed = True
            self._loop.leave(reason)
            self._context.destroy(linger=0)
            self._wake_reader.close()
            self._wake_writer.close()


def _fail_all(waiting: list[PendingRequest], error: errors.ZactorError) -> None:
    for pending in waiting:
        pending.fail(error)

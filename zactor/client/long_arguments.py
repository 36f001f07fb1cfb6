"""Calls whose arguments are too long for one request: they go before it, in pieces."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from zactor.client.connection import Connection
from zactor.kernel import limits
from zactor.kernel.messages.operations import Operation, PutArguments, in_pieces, is_long


def request(
    connection: Connection, operation: Operation, timeout: float | None = None
) -> Future[object]:
    """Send an operation as `Connection.request` does, however long its arguments are.

    Raises:
        As `Connection.request`.
    """
    if not is_long(operation):
        return connection.request(operation, timeout)
    pieces, asked = in_pieces(operation, secrets.token_hex(8))
    return _LongCall(connection, pieces, asked, timeout).future


class _LongCall:
    """One of them. Threads: made by any; the rest in the connection's."""

    def __init__(
        self,
        connection: Connection,
        pieces: Sequence[PutArguments],
        operation: Operation,
        timeout: float | None,
    ) -> None:
        self.future: Future[object] = Future()
        self._connection = connection
        self._operation = operation
        self._seconds = limits.CLIENT_REQUEST_S if timeout is None else timeout
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._left = len(pieces)
        self._sent = [connection.request(piece, timeout) for piece in pieces]
        self.future.add_done_callback(self._over)
        for sent in self._sent:
            sent.add_done_callback(self._arrived)

    def _arrived(self, sent: Future[object]) -> None:
        if sent.cancelled() or self.future.done():
            return
        error = sent.exception()
        if error is not None:
            self._end(None, error)
            return
        with self._lock:
            self._left -= 1
            whole = not self._left
        if whole:
            self._ask()

    def _ask(self) -> None:
        left = max(0.001, self._begun + self._seconds - time.monotonic())
        try:
            asked = self._connection.request(self._operation, left)
        except Exception as error:  # the connection was closed meanwhile
            self._end(None, error)
            return
        self._sent.append(asked)
        asked.add_done_callback(self._answered)

    def _answered(self, asked: Future[object]) -> None:
        if not asked.cancelled():
            error = asked.exception()
            self._end(None if error is not None else asked.result(), error)

    def _end(self, result: object, error: BaseException | None) -> None:
        with suppress(InvalidStateError):  # cancelled in this very moment
            if error is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(result)

    def _over(self, _: Future[object]) -> None:
        for sent in self._sent:
            sent.cancel()

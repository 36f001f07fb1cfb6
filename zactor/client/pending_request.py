"""A pending request of a client, from the moment it is asked until its future is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass

from zactor.kernel import errors, limits
from zactor.kernel.messages.operations import Operation
from zactor.kernel.wire import results

_ENDED: Future[object] = Future()
_ENDED.set_result(None)


@dataclass(slots=True, eq=False)
class PendingRequest:
    """One request; with `operation` None the caller only wants to know that a door is open."""

    operation: Operation | None
    future: Future[object]
    asked: float  # monotonic s
    timeout: float  # s from `asked` on
    read: Callable[[bytes], object] = results.read_result  # of the encoded result
    number: int = 0  # 0 until it is sent
    bytes: int = 0  # of the request as it was sent
    id: str = ""  # of a change, the same at every node that is asked; "" until it is sent
    lost: bool = False  # the node that it was sent to went, and another is to be asked

    @property
    def deadline(self) -> float:
        """When it times out, in monotonic s."""
        return self.asked + self.timeout

    def is_too_much(self, under_way: Iterable[PendingRequest]) -> bool:
        """Whether a long request has to wait until some of these, itself included, are answered."""
        most = max(limits.CLIENT_REQUEST_BYTES, self.bytes)
        is_long = self.bytes >= limits.CLIENT_LONG_BYTES
        return is_long and sum(pending.bytes for pending in under_way) > most

    def settle(self, result: object) -> None:
        """End it with a result."""
        with contextlib.suppress(InvalidStateError):  # cancelled in this very moment
            self._end().set_result(result)

    def fail(self, error: errors.ZactorError) -> None:
        """End it with an error."""
        with contextlib.suppress(InvalidStateError):
            self._end().set_exception(error)

    def _end(self) -> Future[object]:
        """Let go what was asked and what comes of it: this lies in a heap until its deadline."""
        future, self.future, self.operation = self.future, _ENDED, None
        return future

"""Requests under way by number: finds whose answer arrived, and joins the pages of a long one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from zactor.kernel.errors import RemoteProtocolError, ZactorError, from_wire
from zactor.kernel.messages.operations import Answer, Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How a request ended."""

    asker: T
    result: bytes | ZactorError  # encoded and whole, see `results.read_result`; or what went wrong


@dataclass(slots=True)
class _Request(Generic[T]):
    asker: T
    pages: list[bytes] = field(default_factory=list)
    size: int = 0  # bytes of the pages


class RequestTable(Generic[T]):
    """What was asked and isn't answered yet; an asker is whatever the owner wants to find again.

    Threads: one at a time.
    """

    def __init__(self, bytes_max: int | None = None) -> None:
        """No request is under way.

        Args:
            bytes_max: of an answer, all its pages together; None: those asked are trusted.
        """
        self._bytes_max = bytes_max
        self._numbers = itertools.count(1)  # an answer with the number 0 answers nothing
        self._requests: dict[int, _Request[T]] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Yield number and asker of each request, oldest first; it may be removed meanwhile."""
        for number, request in list(self._requests.items()):
            yield number, request.asker

    def add(self, asker: T) -> int:
        """Return the number of a request that `asker` is about to send: never one used before."""
        number = next(self._numbers)
        self._requests[number] = _Request(asker)
        return number

    def remove(self, number: int) -> None:
        """Forget a request; what still comes for it answers nothing. Unknown: nothing."""
        self._requests.pop(number, None)

    def find(self, number: int) -> T | None:
        """Return who asked; None if that request has ended, or never was."""
        request = self._requests.get(number)
        return None if request is None else request.asker

    def take(self, answer: Answer | Problem, sender: str) -> Outcome[T] | None:
        """Return the outcome of a request if `answer` ends it, which is forgotten then.

        None: it answers nothing that is under way, or more of it is to come.

        Args:
            sender: is named in the error if the answer is longer than it may be.
        """
        request = self._requests.get(answer.number)
        if request is None:
            return None
        result: bytes | ZactorError
        if isinstance(answer, Problem):
            result = from_wire(answer.kind, answer.message, answer.fields)
        else:
            request.pages.append(answer.result)
            request.size += len(answer.result)
            if self._bytes_max is not None and request.size > self._bytes_max:
                result = RemoteProtocolError(f"{sender} answers without end")
            elif answer.more:
                return None
            else:
                result = b"".join(request.pages)
        del self._requests[answer.number]
        return Outcome(request.asker, result)

    def clear(self) -> list[T]:
        """Forget all requests; return who asked, oldest first."""
        askers = [request.asker for request in self._requests.values()]
        self._requests.clear()
        return askers

"""User errors, made fit to be shown and handed on: even the code of an error may fail."""

from __future__ import annotations

import traceback
from types import TracebackType

from zactor.kernel.errors import ActorError, said, text_of

_TRACEBACK_CHARACTERS_MAX = 16_384  # the end of a traceback says most


class AbandonedAction(BaseException):
    """Raised in the thread of an actor that is gone, as soon as that is in Python code again."""


def trace_of(error: BaseException, since: TracebackType | None = None) -> str:
    """The traceback as text, from the frame `since` on where it is given."""
    begin = error.__traceback__ if since is None else since
    try:
        lines = traceback.format_exception(type(error), error, begin)
    except BaseException:  # it reads notes, causes and attributes, all of which may be user code
        lines = [*traceback.format_tb(begin), said(error), "\n"]
    return text_of("".join(lines))[-_TRACEBACK_CHARACTERS_MAX:]


def harmless(error: BaseException) -> Exception:
    """The error itself for whoever waits in another thread, or an ActorError that says the same.

    What is no Exception would end the loop that awaits it, a StopIteration isn't let through by
    asyncio, and who handles an error expects that it can be printed.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration) and _is_plain(error):
        return error
    return ActorError(said(error)).with_traceback(error.__traceback__)


def _is_plain(error: Exception) -> bool:
    try:
        repr(error).encode()
        str(error).encode()
        traceback.format_exception(error)
    except BaseException:
        return False
    return True

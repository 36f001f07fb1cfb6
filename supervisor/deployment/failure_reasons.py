"""Failure reasons: why an actor didn't start, or died, in words that every node keeps."""

from __future__ import annotations

import traceback

from zactor.kernel.errors import ActorDied, RemoteActionError, UnfitArguments, ZactorError

REASON_CHARS_MAX = 2_000  # of what user code raised: every node keeps it, and people read it


def reason_of(error: BaseException) -> str:
    """Return what user code raised, in words for the knowledge base."""
    if isinstance(error, RemoteActionError):  # of a process of its own
        return shortened(f"{error.remote_type}: {error.args[0]}")
    is_plain = isinstance(error, ZactorError) and not isinstance(error, UnfitArguments)
    return shortened(str(error) if is_plain else f"{type(error).__name__}: {error}")


def shortened(words: str) -> str:
    """Return a reason, or its beginning and how long it was."""
    if len(words) <= REASON_CHARS_MAX:
        return words
    return f"{words[:REASON_CHARS_MAX]} … ({len(words)} characters in all)"


def stage_of(error: BaseException) -> str:
    """Return which hook raised, where it wasn't the constructor."""
    if isinstance(error, RemoteActionError):
        return "on_start: " if error.action == "on_start" else ""
    if isinstance(error, ActorDied):
        return ""
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
    return "on_start: " if "on_start" in frames else ""

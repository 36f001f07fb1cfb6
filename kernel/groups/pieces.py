"""Pieces: a message that may be long travels in several, so that its coming is seen (V9).

A report names every packet that isn't stable, an Install every member of every group: whole, such
a message would need seconds on a thin line, in which nobody could tell a slow line from a dead one.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.groups.validation import require
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import (
    Accept,
    BehindSessions,
    EngineMessage,
    GroupPiece,
    Install,
    Ready,
    Sync,
    Want,
)

Long = Accept | Sync | Ready | Install | Want | BehindSessions
_LONG = frozenset(get_args(Long))

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Long] = msgspec.msgpack.Decoder(Long)

# What decoding raises, see kernel/wire/codec.py.
_MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError, MemoryError, OverflowError)


def cut(message: EngineMessage) -> tuple[EngineMessage, ...]:
    """Return what to send for the message: itself, or pieces of GROUP_PIECE_BYTES."""
    if type(message) not in _LONG:  # most aren't, and this is asked of every one
        return (message,)
    body, size = _encoder.encode(message), limits.GROUP_PIECE_BYTES
    if len(body) <= size:
        return (message,)
    starts = range(0, len(body), size)
    return tuple(
        GroupPiece(number, start + size < len(body), body[start : start + size])
        for number, start in enumerate(starts)
    )


class Pieces:
    """What has come of each node's message that isn't whole."""

    def __init__(self) -> None:
        self._begun: dict[NodeId, tuple[int, bytearray]] = {}  # number of pieces, their bytes

    def take(self, peer: NodeId, piece: GroupPiece) -> Long | None:
        """Take in the next piece; return the message if it was the last.

        Raises:
            RemoteProtocolError: it doesn't follow, is too much, or the whole is malformed; what
                came before it is dropped.
        """
        count, body = self._begun.pop(peer, (0, bytearray()))
        if not piece.number:  # a new one: if another was begun, its rest was lost with a link
            count, body = 0, bytearray()
        require(piece.number == count, f"piece {piece.number} follows {count} others")
        body += piece.payload
        most = limits.MESSAGE_BYTES_MAX
        require(len(body) <= most, f"pieces of more than {most} bytes")
        if piece.more:
            self._begun[peer] = count + 1, body
            return None
        try:
            return _decoder.decode(body)
        except _MALFORMED as error:
            raise RemoteProtocolError(f"pieces of a malformed message: {error}") from error

    def gone(self, node: NodeId) -> None:
        """That life has ended: the rest won't come."""
        self._begun.pop(node, None)

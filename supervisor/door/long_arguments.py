"""Arguments that come in pieces, until the request comes that they belong to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull, Refused
from zactor.kernel.messages.operations import PIECES_MARK, Operation, PutArguments, ToActors

KEY_CHARS_MAX = 64


@dataclass(slots=True)
class _Pieces:
    """The arguments of one request of one client."""

    total: int
    moved_s: float  # when the last piece came that wasn't there yet
    pieces: dict[int, bytes] = field(default_factory=dict)  # offset -> what begins there
    held: int = 0  # bytes


class LongArguments:
    """What is on its way, by client or node. One that goes takes its own with it.

    Who announces much and sends little holds room that others need. So what stands still goes, and
    nobody may announce more than it leaves: however many take what they can, there is room.
    """

    def __init__(self) -> None:
        self._by_client: dict[bytes, dict[str, _Pieces]] = {}
        self._held = 0  # bytes that were announced, of all

    def put(self, client: bytes, piece: PutArguments, now_s: float) -> int:
        """Take a piece; return how many bytes of its arguments are here.

        Raises:
            Refused: it says two things of one call. MailboxFull: a limit is reached.
        """
        mine = self._by_client.setdefault(client, {})
        arriving = mine.get(piece.key)
        if arriving is None:
            self._check_room(mine, piece)
            arriving = mine[piece.key] = _Pieces(piece.total, now_s)
            self._held += piece.total
        fits = 0 <= piece.offset <= piece.offset + len(piece.data) <= arriving.total
        if piece.total != arriving.total or not fits or not piece.data:
            raise Refused(f"a piece at {piece.offset} of {len(piece.data)} bytes doesn't fit")
        if piece.offset not in arriving.pieces:
            arriving.pieces[piece.offset] = piece.data
            arriving.held += len(piece.data)
            arriving.moved_s = now_s
        if arriving.held > arriving.total:
            self._forget(client, piece.key)
            raise Refused("the pieces of these arguments overlap")
        return arriving.held

    def _check_room(self, mine: dict[str, _Pieces], piece: PutArguments) -> None:
        if not 0 < piece.total <= limits.MESSAGE_BYTES_MAX or len(piece.key) > KEY_CHARS_MAX:
            raise Refused(
                f"arguments of {piece.total} bytes: MESSAGE_BYTES_MAX is {limits.MESSAGE_BYTES_MAX}"
            )
        held = sum(each.total for each in mine.values()) + piece.total
        if len(mine) >= limits.DOOR_ARGUMENTS_MAX or held > limits.MESSAGE_BYTES_MAX:
            raise MailboxFull(
                f"{len(mine)} long calls of yours are on their way, {held} bytes: wait for them"
            )
        left = limits.DOOR_ARGUMENTS_BYTES_ALL_MAX - self._held - piece.total
        if held > left:
            raise MailboxFull(
                f"{self._held} bytes of long calls are on their way, and {held} of yours would"
                f" leave {left} for others: wait for some of them"
            )

    def resolved(self, client: bytes, operation: Operation) -> Operation:
        """Return a request with its arguments in it; one that has them is returned as it is.

        Raises:
            Refused: they aren't here, or not whole: they went to another node, say.
        """
        if not isinstance(operation, ToActors) or operation.payload[:1] != PIECES_MARK:
            return operation
        key = operation.payload[1:].decode("ascii", "replace")
        arriving = self._by_client.get(client, {}).get(key)
        if arriving is None or arriving.held != arriving.total:
            raise Refused("the arguments of this call didn't arrive whole: nothing was done")
        self._forget(client, key)
        whole = b"".join(arriving.pieces[offset] for offset in sorted(arriving.pieces))
        return msgspec.structs.replace(operation, payload=whole)

    def expire(self, now_s: float) -> bool:
        """Drop what has stood still for too long; return whether anything is on its way yet."""
        for client, mine in self._by_client.items():
            for key, arriving in list(mine.items()):
                if now_s - arriving.moved_s >= limits.DOOR_ARGUMENTS_IDLE_MS / 1000:
                    self._forget(client, key)
        return self._held > 0

    def forget(self, client: bytes) -> None:
        """The client is gone."""
        for key in list(self._by_client.get(client, ())):
            self._forget(client, key)
        self._by_client.pop(client, None)

    def _forget(self, client: bytes, key: str) -> None:
        arriving = self._by_client[client].pop(key)
        self._held -= arriving.total

"""The knowledge base's way into the group engine: one session, one group, messages in order.

Kernel's loop only.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec
import structlog

from zactor.kernel.errors import MailboxFull
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.knowledge import KbOrdered
from zactor.kernel.replication.effects import Multicast
from zactor.kernel.sessions.session import Session, SessionUser

if TYPE_CHECKING:
    from zactor.kernel.sessions.host import GroupHost

log = structlog.get_logger()

GROUP = "zactor.kb"

_ENCODER = msgspec.msgpack.Encoder()
_ORDERED = msgspec.msgpack.Decoder(KbOrdered)


class GroupChannel(SessionUser):
    """What this node says to the group of the knowledge base, and how it reads what others say.

    It joins no group: the node's listener sees every message to it.
    """

    def __init__(self) -> None:
        self._session: Session | None = None
        self._outbox: deque[Multicast] = deque()  # until the session is open, or has room

    async def open(self, groups: GroupHost) -> None:
        """Open the session; what has been said meanwhile leaves."""
        self._session = await groups.open_session(GROUP, self)
        self.flush()

    def say(self, said: Multicast) -> None:
        """Put a message behind the others; `flush` sends them."""
        self._outbox.append(said)

    def flush(self) -> None:
        """Send what there is room for."""
        while self._outbox and self._session is not None:
            said = self._outbox[0]
            try:
                self._session.submit(said.service, (GROUP,), _ENCODER.encode(said.message))
            except MailboxFull:
                return  # by what other sessions send; the next flush tries again
            self._outbox.popleft()

    def read(self, message: GroupData) -> KbOrdered | None:
        """Return what a message says, None if it is none of ours."""
        if message.session != GROUP:
            return None
        try:
            said: KbOrdered = _ORDERED.decode(message.payload)
        except msgspec.MsgspecError as error:
            log.warning("kb_message_refused", peer=str(message.sender), why=str(error))
            return None
        return said

    # -- as the owner of a session that is in no group ---------------------------------------
    def on_message(self, message: GroupData, transitional: bool) -> None:
        """Something for this session alone: nobody has a reason to send that."""
        if self._session is not None:
            self._session.consumed(1)

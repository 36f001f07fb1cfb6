"""Parcels: messages of one session that are alike but for their payloads, as one item (O0a).

Who has them packs them, who delivers them opens them, and nobody in between looks inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.groups import GroupData, GroupPacket

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[bytes, ...])


def pack(payloads: Sequence[bytes]) -> bytes:
    """Return the payload of a parcel of messages with these."""
    return _encode(payloads)


def payloads_of(body: bytes, count: int) -> tuple[bytes, ...]:
    """Return the payloads of the messages in a parcel.

    Raises:
        RemoteProtocolError: it is none of so many.
    """
    try:
        found = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RemoteProtocolError(f"a parcel that can't be read: {error}") from None
    if len(found) != count:
        raise RemoteProtocolError(f"a parcel of {len(found)} messages that says {count}")
    return found


def weight(packet: GroupPacket) -> int:
    """Return how many messages a packet has, those in parcels too."""
    items = packet.items
    return items[0].count if len(items) == 1 else sum([item.count for item in items])


def opened(data: GroupData) -> Sequence[GroupData]:
    """Return the messages of a parcel; of a message itself.

    Raises:
        RemoteProtocolError: as `payloads_of`.
    """
    if data.count == 1:
        return (data,)
    return [
        GroupData(
            data.view,
            data.sender,
            data.ticket,
            number,
            data.service,
            data.kind,
            data.session,
            data.groups,
            data.discard,
            data.mess_type,
            payload,
        )
        for number, payload in enumerate(payloads_of(data.payload, data.count), data.number)
    ]

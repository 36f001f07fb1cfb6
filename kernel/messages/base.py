"""What every message is, the version of the wire, and the line for the log that all machines use.

The modules of this folder *are* the wire format (msgpack arrays). Decoding is typed, so what
arrives has the right shape or is refused; payloads stay opaque bytes until they reach the actor
runtime. Each struct's tag is its number on the wire: never reuse one. PROTOCOL.md has the meaning
of every message and who sends it to whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

WIRE_VERSION = 12
"""Nodes with different versions refuse each other in the handshake."""


class Message(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag_field="tag_"
):
    """Base of all that travels: immutable, an array on the wire."""


class Trace(msgspec.Struct, frozen=True):
    """Something worth a line in the log: the effect of machines that never log themselves."""

    event: str  # past tense, snake case, constant
    fields: Mapping[str, object]


Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
"""What is counted, or measured in ms: far from what msgpack can't carry, whatever is added."""


Seconds = Annotated[float, msgspec.Meta(ge=-1e12)]
"""A time; not NaN, which is neither before nor after any other and would upset every clock."""


MessType = Annotated[int, msgspec.Meta(ge=-(1 << 15), lt=1 << 15)]
"""Spread's type of a message: the application's own, a signed integer of 16 bits."""

MARKED_BELOW = 1 << 26

MarkedMessType = Annotated[int, msgspec.Meta(ge=-(1 << 15), lt=MARKED_BELOW)]
"""A MessType as it travels between nodes. What a program of Spread sent has its 16 bits unsigned,
and above them ten marks that only such programs see: its byte order, two of its flush library, and
seven bits that mean nothing to a daemon."""


def plain_mess_type(marked: int) -> int:
    """Return the MessType in what travels."""
    return ((marked & 0xFFFF) ^ 0x8000) - 0x8000

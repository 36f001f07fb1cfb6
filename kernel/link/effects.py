"""Effects of a link: what its shell must do, in order; and its limits and phases.

Effects are msgspec structs and no dataclasses: one is made for every frame, and a frozen
dataclass costs five times as much to make.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from zactor.kernel import limits
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.frames import LinkFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers a link obeys; both ends must have the same `window`."""

    window: int = limits.LINK_WINDOW_ITEMS  # credited items sent and not yet consumed
    lot: int = limits.LINK_GRANT_ITEMS  # consumed items that are worth a frame of their own
    batch_items: int = limits.BATCH_ITEMS_MAX  # in one frame
    batch_bytes: int = limits.BATCH_BYTES_MAX  # in one frame; a larger item goes alone
    flight_bytes: int = limits.LINK_FLIGHT_BYTES_MAX  # unacknowledged: credited items wait above
    resend_ms: int = limits.LINK_RESEND_MS
    ack_delay_ms: int = limits.LINK_ACK_DELAY_MS

    def __post_init__(self) -> None:
        assert 1 <= self.lot <= self.window, "a lot larger than the window would never be granted"
        assert self.batch_items >= 1, self
        assert self.batch_bytes >= 1, self
        assert self.flight_bytes >= 1, self
        assert 0 <= self.ack_delay_ms < self.resend_ms, "acknowledge before the peer asks for it"


class Phase(enum.Enum):
    """What a link knows about its connection."""

    BROKEN = "broken"  # no connection: nothing is transmitted, all waits
    ASKING = "asking"  # connected, and it isn't known what of the unacknowledged arrived
    OPEN = "open"  # connected: what is submitted leaves at once
    GONE = "gone"  # the peer's incarnation is dead: nothing arrives and nothing leaves, ever


class PhaseTrigger(enum.Enum):
    """What changes the phase."""

    CONNECTED = "connected"
    SETTLED = "settled"  # the peer told where it stands, or nothing was in doubt
    DISCONNECTED = "disconnected"
    PEER_GONE = "peer gone"


TRANSITIONS: Mapping[Phase, Mapping[PhaseTrigger, Phase]] = {
    Phase.BROKEN: {
        PhaseTrigger.CONNECTED: Phase.ASKING,
        PhaseTrigger.DISCONNECTED: Phase.BROKEN,  # a failed attempt to connect
        PhaseTrigger.PEER_GONE: Phase.GONE,
    },
    Phase.ASKING: {
        PhaseTrigger.CONNECTED: Phase.ASKING,
        PhaseTrigger.SETTLED: Phase.OPEN,
        PhaseTrigger.DISCONNECTED: Phase.BROKEN,
        PhaseTrigger.PEER_GONE: Phase.GONE,
    },
    Phase.OPEN: {
        PhaseTrigger.CONNECTED: Phase.ASKING,  # the break in between went unnoticed
        PhaseTrigger.DISCONNECTED: Phase.BROKEN,
        PhaseTrigger.PEER_GONE: Phase.GONE,
    },
    Phase.GONE: {},
}
"""A pair that isn't here is a LocalProtocolError, and the phase stays as it was."""


class Transmit(msgspec.Struct, frozen=True, gc=False):
    """Give the frame to the connection; it may be lost there."""

    frame: LinkFrame


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """Give these items of the peer to the local user: once each, in order within a lane."""

    items: tuple[object, ...]


class Lost(msgspec.Struct, frozen=True, gc=False):
    """The peer has gone and these items of ours are not known to have arrived."""

    items: tuple[object, ...]
    sent: tuple[bool, ...]  # of each: True: transmitted, may have been handled; False: never was
    reason: str


Effect = Transmit | Deliver | Lost | Trace

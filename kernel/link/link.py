"""The link: exactly-once, ordered, credit-controlled transfer between two incarnations.

One `Link` stands at each end of a pair of incarnations and serves both directions. Below it lies a
connection that may lose, repeat, delay and reorder frames, and may break and come back; above it
lies a user that submits items, gets the peer's items, and says when it has handled them. The
numbered rules are in PROTOCOL.md beside this file; `L3` in a comment is rule L3 there.

How it works, in one paragraph: items are numbered when they are put into a frame, and a frame is
kept until the peer's `received` covers it. Every frame, whatever it is for, says where its sender
stands in both directions, so whoever gets a frame sees at once whether something before it is
missing (`first` is too high) and answers `again`, whereupon all that follows `received` is sent
again. Because a connection keeps the order of frames, a probe, which is a frame without items,
finds what was lost before it; nobody has to guess from silence alone. Two lanes share the
numbers: items that take a credit (see messages.Credited) wait when the peer's user is behind,
the others overtake them, so an answer never waits for credit.

Source: the window, the cumulative acknowledgement and the probe of a closed window are TCP's
(RFC 9293, sections 3.4, 3.8, 3.8.6.1); going back to the first missing item, without a buffer for
what arrives early, is right because frames are lost in runs, when a connection breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.ids import NodeId
from zactor.kernel.link.effects import (
    TRANSITIONS,
    Deliver,
    Effect,
    Limits,
    Lost,
    Phase,
    PhaseTrigger,
    Transmit,
)
from zactor.kernel.link.outbox import Outbox
from zactor.kernel.messages.actors import Ask, Signal
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.frames import LinkFrame

__all__ = ["Deliver", "Effect", "Limits", "Link", "Lost", "Phase", "Transmit"]

_CONNECTED = (Phase.OPEN, Phase.ASKING)


def _takes_credit(item: object) -> bool:
    return isinstance(item, (Signal, Ask))


def _no_size(item: object) -> int:
    return 0


def _one(item: object) -> int:
    return 1


def _never_split(item: object, weight: int) -> tuple[object, object]:
    raise LocalProtocolError(f"{item!r} can't be split")


class Link:
    """One end of a link. Time is `now_ms`, any clock that never goes back; nothing is done late
    if `tick` is called when `next_deadline_ms` has come.

    Threads: none; whoever owns it calls it from one.
    """

    __slots__ = (
        "_ack_due_ms",
        "_again_asked",
        "_again_asked_ms",
        "_consumed",
        "_credited_received",
        "_granted",
        "_is_credited",
        "_limits",
        "_missing",
        "_out",
        "_phase",
        "_probe_due_ms",
        "_reason",
        "_received",
        "_resent_after",
        "_resent_ms",
        "_unacknowledged_in",
        "_weight_of",
        "local",
        "remote",
    )

    def __init__(
        self,
        local: NodeId,
        remote: NodeId,
        *,
        is_credited: Callable[[object], bool] = _takes_credit,
        size_of: Callable[[object], int] = _no_size,
        weight_of: Callable[[object], int] = _one,
        split: Callable[[object, int], tuple[object, object]] = _never_split,
        limits: Limits | None = None,
    ) -> None:
        """Args:
        is_credited, weight_of: must say the same of an item at both ends. An item of weight n
            counts as n, in numbers and in credits.
        size_of: in bytes.
        split: returns an item of so much weight and the rest, of an item that weighs more.
        """
        self.local = local
        self.remote = remote
        self._limits = limits if limits is not None else Limits()
        self._is_credited = is_credited
        self._weight_of = weight_of
        self._out = Outbox(self._limits, size_of, is_credited, weight_of, split)
        self._phase = Phase.BROKEN
        self._reason = ""  # why the peer is gone
        # -- what came in
        self._received = 0  # everything up to this number has arrived
        self._credited_received = 0
        self._consumed = 0  # credited items that the local user has handled
        self._granted = self._limits.window  # as the peer was told last
        self._unacknowledged_in = 0  # items that arrived since we told `received` last
        self._missing = False  # a gap was seen and the peer wasn't told yet
        self._again_asked = -1  # `received` when the peer was last asked to send again
        self._again_asked_ms = 0
        # -- what goes out
        self._resent_after = -1  # the last resending began after this number
        self._resent_ms = 0
        self._ack_due_ms: int | None = None  # a frame must tell the peer where we stand by then
        self._probe_due_ms: int | None = None  # without news from the peer we ask then

    # -- what the owner may look at ----------------------------------------------------------
    @property
    def phase(self) -> Phase:
        """What is known about the connection."""
        return self._phase

    @property
    def queued(self) -> int:
        """Items that the peer hasn't acknowledged, transmitted or not."""
        return self._out.queued

    @property
    def queued_bytes(self) -> int:
        """Their size."""
        return self._out.queued_bytes

    @property
    def is_used(self) -> bool:
        """Whether an item was transmitted or has arrived: a new link wouldn't fit its other end."""
        return self._out.next_number > 1 or self._received > 0

    @property
    def waiting(self) -> int:
        """Items that were never transmitted: they wait for a connection or for credit."""
        return self._out.waiting

    def measure(self) -> tuple[int, int, int | None]:
        """Return `queued`, `queued_bytes` and `next_deadline_ms`, as is done after each frame."""
        out = self._out
        return out.queued, out.queued_bytes, self.next_deadline_ms

    @property
    def next_deadline_ms(self) -> int | None:
        """When `tick` has something to do; None while only an event can bring work."""
        if self._phase not in _CONNECTED:
            return None
        if self._ack_due_ms is None or self._probe_due_ms is None:
            return self._probe_due_ms if self._ack_due_ms is None else self._ack_due_ms
        return min(self._ack_due_ms, self._probe_due_ms)

    # -- events of the local user ------------------------------------------------------------
    def submit(self, items: Sequence[object], now_ms: int) -> list[Effect]:
        """Send `items`: they leave now if connection and credit allow, else as soon as they do."""
        if self._phase is Phase.GONE:
            return self._lose((), tuple(items))
        if not items:
            return []
        effects: list[Effect] = [
            Transmit(self._frame(sent.first, sent.items))
            for sent in self._out.accept(items, self._phase is Phase.OPEN)
        ]
        if self._out.waiting:
            effects += self._flush(now_ms)
        elif self._probe_due_ms is None:
            self._probe_due_ms = now_ms + self._limits.resend_ms
        return effects

    def consumed(self, count: int, now_ms: int) -> list[Effect]:
        """The local user has handled `count` more credited items of the peer's.

        Raises:
            LocalProtocolError: that is more than were delivered; nothing changed.
        """
        if count < 0 or self._consumed + count > self._credited_received:
            raise LocalProtocolError(
                f"{count} more items consumed of {self.remote}, "
                f"but {self._credited_received - self._consumed} are under way"
            )
        self._consumed += count
        if self._phase not in _CONNECTED:
            return []
        # L8: a lot goes back at once; less than a lot only when the peer is about to run dry.
        owed = self._consumed + self._limits.window - self._granted
        if owed >= self._limits.lot:
            self._tell_by(now_ms)
        elif owed and self._granted - self._credited_received < self._limits.lot:
            self._tell_by(now_ms + self._limits.ack_delay_ms)
        return self._tell_if_due(now_ms)

    # -- events of the connection and the clock ----------------------------------------------
    def connected(self, now_ms: int) -> list[Effect]:
        """Frames can leave (again): asks the peer where it stands."""
        if self._phase is Phase.GONE:
            return []
        self._move(PhaseTrigger.CONNECTED)
        self._resent_after = -1
        if not self._out.is_in_doubt:
            self._move(PhaseTrigger.SETTLED)
        return [self._probe(now_ms), *self._flush(now_ms)]

    def disconnected(self, now_ms: int) -> list[Effect]:
        """No frame can leave until `connected`."""
        if self._phase is not Phase.GONE:
            self._move(PhaseTrigger.DISCONNECTED)
        return []

    def tick(self, now_ms: int) -> list[Effect]:
        """Do what is due: an acknowledgement that found nothing to ride on, or a probe."""
        if self._phase not in _CONNECTED:
            return []
        if self._probe_due_ms is not None and self._probe_due_ms <= now_ms:
            return [self._probe(now_ms)]
        return self._tell_if_due(now_ms)

    def peer_dead(self, reason: str) -> list[Effect]:
        """The peer's incarnation is dead: report everything that isn't known to have arrived."""
        if self._phase is Phase.GONE:
            return []
        self._move(PhaseTrigger.PEER_GONE)
        self._reason = reason
        return self._lose(*self._out.clear())

    def replace(self, first: int, items: tuple[object, ...]) -> None:
        """Put others, with the same lanes, in the place of a frame's items: they can't travel."""
        self._out.replace(first, items)

    def _lose(self, transmitted: tuple[object, ...], waiting: tuple[object, ...]) -> list[Effect]:
        items = transmitted + waiting
        sent = (True,) * len(transmitted) + (False,) * len(waiting)
        return [Lost(items, sent, self._reason)] if items else []

    # -- frames of the peer ------------------------------------------------------------------
    def receive(self, frame: LinkFrame, now_ms: int) -> list[Effect]:
        """Take in what the peer sent: a frame that makes no sense changes nothing (Trace only)."""
        skip = self._received + 1 - frame.first  # items we have; negative: items are missing
        fresh = frame.items if skip == 0 else self._fresh(frame.items, skip)
        if fresh is None:
            return [self._drop(frame, "begins within an item that we have")]
        weight = credited = 0
        for item in fresh:
            each = self._weight_of(item)
            weight += each
            if self._is_credited(item):
                credited += each
        problem = self._problem(frame, credited)
        if problem is not None:
            return [self._drop(frame, problem)]

        effects: list[Effect] = []
        self._hear(frame, now_ms)
        if skip < 0:
            effects += self._see_gap(frame, now_ms)
        if fresh:
            self._received += weight
            self._credited_received += credited
            self._unacknowledged_in += weight
            effects.append(Deliver(fresh))
        if frame.items and skip >= 0:
            # L6: also what we had already is acknowledged again: the peer doesn't know we have it.
            at_once = self._unacknowledged_in >= self._limits.window // 2
            self._tell_by(now_ms if at_once else now_ms + self._limits.ack_delay_ms)
        if frame.probe:
            self._tell_by(now_ms)

        # L11: an `again` of an older standing than we know of is an old frame; it tells nothing.
        if frame.again and frame.received == self._out.acknowledged:
            effects += self._resend(now_ms)
        if self._phase is Phase.ASKING and not self._out.is_in_doubt:
            self._move(PhaseTrigger.SETTLED)
        if self._out.waiting:
            effects += self._flush(now_ms)
        effects += self._tell_if_due(now_ms)
        return effects

    def _fresh(self, items: tuple[object, ...], skip: int) -> tuple[object, ...] | None:
        """Return what comes behind the first `skip` numbers; None if that cuts an item in two."""
        if skip < 0:
            return ()
        for place, item in enumerate(items):
            if skip <= 0:
                return items[place:] if skip == 0 else None
            skip -= self._weight_of(item)
        return () if skip >= 0 else None

    def _problem(self, frame: LinkFrame, credited: int) -> str | None:
        """Why the frame can't come from an honest living peer, or None."""
        out = self._out
        if frame.source != self.remote.incarnation or frame.target != self.local.incarnation:
            return "another incarnation"
        if self._phase is Phase.GONE:
            return "the peer is gone"
        if frame.first < 1 or frame.received < 0:
            return "numbers out of range"
        if frame.received >= out.next_number:
            return "acknowledges what was never sent"
        if frame.granted > out.spent + self._limits.window:
            return "grants more than the window"
        # Both only grow at the peer, so of two frames one is the later in both (L12).
        newer = frame.received - out.acknowledged
        if newer * (frame.granted - out.granted) < 0:
            return "grants and acknowledgements contradict each other"
        if frame.granted < self._limits.window:
            return "grants less than at the start"
        if self._credited_received + credited > self._granted:
            return "more credited items than granted"
        return None

    def _drop(self, frame: LinkFrame, problem: str) -> Trace:
        fields: dict[str, object] = {
            "local": str(self.local),
            "remote": str(self.remote),
            "problem": problem,
            "source": frame.source,
            "target": frame.target,
            "first": frame.first,
            "count": len(frame.items),
            "received": frame.received,
            "granted": frame.granted,
        }
        return Trace("frame_dropped", fields)

    def _hear(self, frame: LinkFrame, now_ms: int) -> None:
        """Take note of where the peer stands."""
        out = self._out
        if frame.received > out.acknowledged:
            out.acknowledge(frame.received)
        elif frame.granted <= out.granted:
            return
        out.granted = max(out.granted, frame.granted)
        self._probe_due_ms = now_ms + self._limits.resend_ms if out.is_unsettled else None

    def _see_gap(self, frame: LinkFrame, now_ms: int) -> list[Effect]:
        # L10: once per place and time, or every frame behind the gap would have all sent again.
        again_ms = self._again_asked_ms + self._limits.resend_ms
        if self._again_asked == self._received and now_ms < again_ms and not frame.probe:
            return []
        self._again_asked = self._received
        self._again_asked_ms = now_ms
        self._missing = True
        self._tell_by(now_ms)
        expected = self._received + 1
        fields = {"remote": str(self.remote), "expected": expected, "first": frame.first}
        return [Trace("gap_seen", fields)]

    def _resend(self, now_ms: int) -> list[Effect]:
        """Transmit everything unacknowledged again, unless that was just done."""
        out = self._out
        if self._phase not in _CONNECTED or not out.is_in_doubt:
            return []
        again_ms = self._resent_ms + self._limits.resend_ms
        if out.acknowledged == self._resent_after and now_ms < again_ms:
            return []  # L11
        if self._phase is Phase.ASKING:
            self._move(PhaseTrigger.SETTLED)
        self._resent_after = out.acknowledged
        self._resent_ms = now_ms
        self._probe_due_ms = now_ms + self._limits.resend_ms
        effects: list[Effect] = [
            Transmit(self._frame(sent.first, sent.items)) for sent in out.unacknowledged
        ]
        count = out.next_number - 1 - out.acknowledged
        fields = {"remote": str(self.remote), "after": out.acknowledged, "count": count}
        return [Trace("items_resent", fields), *effects]

    # -- helpers -----------------------------------------------------------------------------
    def _move(self, cause: PhaseTrigger) -> None:
        try:
            self._phase = TRANSITIONS[self._phase][cause]
        except KeyError:
            raise LocalProtocolError(
                f"the link to {self.remote} is {self._phase.value}: it can't be {cause.value}"
            ) from None

    def _flush(self, now_ms: int) -> list[Effect]:
        """Transmit what waits, as far as connection and credit allow."""
        effects: list[Effect] = []
        if self._phase is Phase.OPEN:
            while (sent := self._out.take()) is not None:
                effects.append(Transmit(self._frame(sent.first, sent.items)))
            if self._probe_due_ms is None and self._out.is_unsettled:
                self._probe_due_ms = now_ms + self._limits.resend_ms
        return effects

    def _frame(self, first: int, items: tuple[object, ...], probe: bool = False) -> LinkFrame:
        """Make a frame that says where we stand; whatever was owed to the peer is told thereby."""
        self._granted = self._consumed + self._limits.window
        self._unacknowledged_in = 0
        self._ack_due_ms = None
        again, self._missing = self._missing, False
        return LinkFrame(
            self.local.incarnation,
            self.remote.incarnation,
            first,
            self._received,
            self._granted,
            probe,
            again,
            items,  # type: ignore[arg-type]  # to a link items are opaque: see codec.Bulky
        )

    def _probe(self, now_ms: int) -> Transmit:
        self._probe_due_ms = now_ms + self._limits.resend_ms if self._out.is_unsettled else None
        return Transmit(self._frame(self._out.next_number, (), probe=True))

    def _tell_by(self, due_ms: int) -> None:
        if self._ack_due_ms is None or due_ms < self._ack_due_ms:
            self._ack_due_ms = due_ms

    def _tell_if_due(self, now_ms: int) -> list[Effect]:
        if self._phase not in _CONNECTED or self._ack_due_ms is None or self._ack_due_ms > now_ms:
            return []
        return [Transmit(self._frame(self._out.next_number, ()))]

    def validate(self) -> None:
        """Assert what must hold between two steps; slow, for tests."""
        self._out.validate()
        assert self._consumed <= self._credited_received <= self._granted, "credits"
        assert self._granted <= self._consumed + self._limits.window, "granted too much"
        if self._phase is Phase.ASKING:
            assert self._out.is_in_doubt, "asks although nothing is in doubt"
        if self._phase in _CONNECTED and self._out.is_unsettled:
            assert self._probe_due_ms is not None, "would wait for ever"

"""Ordering inside one view: streams, tickets, and what may be delivered. One object for each.

What is ordered are packets, of one message or many. Two numbers place a packet. Its *sequence*
counts in its sender's stream, over all services that take part in recovery; its *ticket*, for
CAUSAL and above, counts in the order of all. Source: Défago, Schiper, Urbán, ACM Computing Surveys
36(4), 2004 (section 4.2, fixed sequencer, with the number fetched before sending). The rule a
reader must not break: FIFO and above are never delivered past a hole in their sender's stream, for
what is missing might be FIFO.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.groups.recovery import Place
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupPacket, Held, StreamState
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View

Range = tuple[NodeId, int, int]
"""Sender, first and last sequence: what a Want asks for."""


def add_to_ranges(ranges: list[Range], sender: NodeId, sequence: int) -> None:
    """Add a packet behind the others, to the last range if it follows on it."""
    if ranges and ranges[-1][0] == sender and ranges[-1][2] == sequence - 1:
        ranges[-1] = (sender, ranges[-1][1], sequence)
    else:
        ranges.append((sender, sequence, sequence))


class Stream:
    """The packets of one sender in this view."""

    __slots__ = ("base", "delivered", "held", "last_ticket", "prefix", "tip")

    def __init__(self) -> None:
        self.base = 0  # up to here all members hold it, it was delivered here, and it is freed
        self.delivered = 0  # up to here FIFO and above were delivered here
        self.prefix = 0  # up to here nothing is missing here
        self.last_ticket = 0  # of it: tickets ascend in a stream
        self.tip = 0  # the sender has sent so many, as far as is known
        self.held: dict[int, GroupPacket] = {}  # what isn't freed


class Ordering:
    """What this node holds and has delivered of one view."""

    def __init__(self, view: View, me: NodeId) -> None:
        self.view = view
        self._me = me
        self.streams: dict[NodeId, Stream] = {member: Stream() for member in view.members}
        self.line = 0  # every ticket up to it is held, with what precedes it in its stream
        self.delivered = 0  # every ticket up to it was delivered here
        self._tickets: dict[int, GroupPacket] = {}
        self._loose: set[Place] = set()  # RELIABLE that came by recovery and isn't delivered

    # -- taking in ---------------------------------------------------------------------------
    def has(self, sender: NodeId, sequence: int) -> bool:
        """True if this node holds or held that packet."""
        stream = self.streams[sender]
        return sequence <= stream.prefix or sequence in stream.held

    def take(self, packet: GroupPacket) -> list[GroupPacket]:
        """Hold a packet in the regular configuration; return what it lets be delivered at once:
        itself and its stream, if below CAUSAL. `deliverable` has the rest.

        Raises:
            RemoteProtocolError: it can't stand where it says; nothing changed.
        """
        if not self._hold(packet):
            return []
        ready = [packet] if packet.service is Service.RELIABLE else []
        self._run(self.streams[packet.sender], ready)
        return ready

    def recover(self, packet: GroupPacket) -> None:
        """Hold a packet that the plan of a flush names; nothing is delivered before the end.

        Raises:
            RemoteProtocolError: as `take`.
        """
        if self._hold(packet) and packet.service is Service.RELIABLE:
            self._loose.add(Place(packet.sender, packet.sequence))

    def _hold(self, packet: GroupPacket) -> bool:
        stream = self.streams.get(packet.sender)
        if stream is None or packet.sequence <= stream.prefix or packet.sequence in stream.held:
            return False
        ticket = packet.ticket
        if ticket:
            self._check_ticket(stream, packet)
            self._tickets[ticket] = packet
        stream.held[packet.sequence] = packet
        stream.tip = max(stream.tip, packet.sequence)
        while (following := stream.held.get(stream.prefix + 1)) is not None:
            if following.ticket:
                if following.ticket <= stream.last_ticket:
                    # It came before what shows that it lies: as if it had never come.
                    del stream.held[following.sequence], self._tickets[following.ticket]
                    break
                stream.last_ticket = following.ticket
            stream.prefix += 1
        self._advance_line()
        return True

    def _check_ticket(self, stream: Stream, packet: GroupPacket) -> None:
        """Tickets are given once, and ascend in a stream."""
        ticket = packet.ticket
        if ticket <= self.line or ticket in self._tickets:
            raise RemoteProtocolError(f"ticket {ticket} is another packet's")
        if packet.sequence == stream.prefix + 1 and ticket <= stream.last_ticket:
            raise RemoteProtocolError(f"ticket {ticket} follows {stream.last_ticket}")

    def are_free(self, sender: NodeId, first: int, count: int) -> bool:
        """True if `sender` may use these tickets: nobody has, and it has used no higher one."""
        return first > max(self.line, self.streams[sender].last_ticket) and not any(
            ticket in self._tickets for ticket in range(first, first + count)
        )

    def _advance_line(self) -> None:
        self.line = self._line_beyond(self.line)

    def _line_beyond(self, line: int) -> int:
        while (packet := self._tickets.get(line + 1)) is not None:
            if packet.sequence > self.streams[packet.sender].prefix:
                break
            line += 1
        return line

    def line_with(self, ticket: int) -> int:
        """The line as it will be when this node's own packet with that ticket is taken in."""
        return self._line_beyond(ticket) if ticket == self.line + 1 else self.line

    # -- giving out --------------------------------------------------------------------------
    def deliverable(self, stable: int) -> list[GroupPacket]:
        """Deliver what the order allows now.

        Args: `stable` is the line up to which every member is known to hold everything.
        Returns: CAUSAL and above in order of ticket, each followed by its sender's FIFO messages
        that waited for it.
        """
        ready: list[GroupPacket] = []
        while self.delivered < self.line:
            packet = self._tickets[self.delivered + 1]
            if packet.service is Service.SAFE and self.delivered + 1 > stable:
                break  # and what follows waits behind it: one order
            stream = self.streams[packet.sender]
            assert stream.delivered == packet.sequence - 1, "a stream was delivered past a hole"
            self.delivered += 1
            stream.delivered = packet.sequence
            ready.append(packet)
            self._run(stream, ready)
        return ready

    def _run(self, stream: Stream, ready: list[GroupPacket]) -> None:
        """Deliver a stream's FIFO messages up to the next that waits for its ticket's turn."""
        while stream.delivered < stream.prefix:
            packet = stream.held[stream.delivered + 1]
            if packet.ticket:
                return
            stream.delivered += 1
            if packet.service is Service.FIFO:
                ready.append(packet)

    def undelivered(self, places: Iterable[Place]) -> list[GroupPacket]:
        """Of the packets at `places`, in that order, those not delivered here yet."""
        found = []
        for place in places:
            stream = self.streams[place.sender]
            packet = stream.held.get(place.sequence)
            if packet is None:
                continue  # freed: it was delivered
            if packet.service is Service.RELIABLE:
                if place in self._loose:
                    found.append(packet)
            elif place.sequence > stream.delivered:
                found.append(packet)
        return found

    # -- buffers -----------------------------------------------------------------------------
    def prefixes(self) -> tuple[int, ...]:
        """Of each member's stream, up to where nothing is missing here."""
        return tuple(stream.prefix for stream in self.streams.values())

    def free(self, stable: Sequence[int]) -> None:
        """Forget what all members hold and this node has delivered.

        Args: `stable` has a sequence for each member, in the order of the view.
        """
        for stream, limit in zip(self.streams.values(), stable, strict=True):
            last = min(limit, stream.delivered)
            while stream.base < last:
                stream.base += 1
                packet = stream.held.pop(stream.base)
                if packet.ticket:
                    del self._tickets[packet.ticket]

    def held_of(self, ranges: Iterable[Range], more: int) -> list[GroupPacket]:
        """Return the packets of these parts of streams that are in the buffers.

        Whatever somebody asks for, all together are looked at once, and `more` places beside them.
        """
        found: list[GroupPacket] = []
        left = self.held_count + more
        for sender, first, last in ranges:
            if left <= 0:
                break
            stream = self.streams.get(sender)
            held = stream.held if stream is not None else {}
            places: Iterable[int] = range(first, last + 1)
            if last - first >= len(held):  # it may be any number that somebody sent
                places = [sequence for sequence in sorted(held) if first <= sequence <= last]
            found += [held[sequence] for sequence in places if sequence in held]
            left -= max(1, min(len(held), last - first + 1))
        return found[: self.held_count]

    @property
    def held_count(self) -> int:
        """Packets in the buffers."""
        return sum(len(stream.held) for stream in self.streams.values())

    # -- gaps and reports --------------------------------------------------------------------
    def hear_tips(self, tips: Sequence[int]) -> None:
        """A member tells what it has of each stream: so much at least was sent."""
        for (sender, stream), tip in zip(self.streams.items(), tips, strict=True):
            if sender != self._me:  # what we have sent we know best
                stream.tip = max(stream.tip, tip)

    def missing(self, sender: NodeId, count: int) -> tuple[Range, ...]:
        """Up to `count` packets of `sender`'s stream that exist and aren't here, as ranges."""
        stream = self.streams[sender]
        ranges: list[Range] = []
        for sequence in range(stream.prefix + 1, min(stream.tip, stream.prefix + count) + 1):
            if sequence not in stream.held:
                add_to_ranges(ranges, sender, sequence)
        return tuple(ranges)

    def states(self, me: NodeId) -> tuple[StreamState, ...]:
        """What this node can offer to a flush."""
        return tuple(
            StreamState(
                sender=sender,
                base=stream.base,
                held=tuple(
                    Held(
                        sequence=sequence,
                        ticket=stream.held[sequence].ticket,
                        service=stream.held[sequence].service,
                        holder=me,
                    )
                    for sequence in sorted(stream.held)
                ),
            )
            for sender, stream in self.streams.items()
        )

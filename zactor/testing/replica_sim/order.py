"""Extended virtual synchrony without an engine: what G1 to G10 promise, and nothing more.

A `Configuration` is a view as its members see it. Who holds what is settled as late as possible: a
member holds what its deliveries imply, and the adversary says what else when a view ends. Places in
the order (tickets), streams, cut, gap and obligation are those of PROTOCOL.md, section 8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from zactor.kernel.messages.knowledge import KbOrdered
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View

ALL = 1 << 30


class Message:
    """One message of a view. `ticket` counts from 1; 0: FIFO, behind what its sender sent."""

    __slots__ = ("at", "body", "key", "place", "sender", "service", "ticket")

    def __init__(self, sender: str, service: Service, body: KbOrdered, key: int) -> None:
        self.sender = sender
        self.service = service
        self.body = body
        self.key = key  # of the state it was said in: the same in every run that came to it
        self.ticket = 0
        self.place = 0  # in its sender's stream, from 0
        self.at = 0  # when it was sent, among all of the view


class Reach(NamedTuple):
    """What the adversary grants a cohort that leaves its view, beyond what is implied."""

    extent: int = ALL  # it holds what was sent before this …
    holes: tuple[str, ...] = ()  # … but for what these have sent
    stable: int = ALL  # of how many places more than it must it knows that all hold them


class Flushed(NamedTuple):
    """What a cohort is delivered at the end of its view."""

    regular: tuple[Message, ...]
    transitional: tuple[Message, ...]


class Configuration:
    """One view: what was sent in it, and what each member holds and was given."""

    def __init__(self, view: View) -> None:
        """Nothing has been sent yet."""
        self.view = view
        self.names = tuple(node.name for node in view.members)
        self.tickets: list[Message | None] = []  # None: granted and never used
        self.streams: dict[str, list[Message]] = {name: [] for name in self.names}
        self.held = {name: dict.fromkeys(self.names, 0) for name in self.names}
        self.given = {name: dict.fromkeys(self.names, 0) for name in self.names}
        self.done = dict.fromkeys(self.names, 0)  # tickets delivered
        self.sure = dict.fromkeys(self.names, 0)  # … of SAFE messages, regular
        self.active = set(self.names)  # may still receive and be given something in this view
        self.obligation: dict[str, frozenset[str]] = dict.fromkeys(self.names, frozenset())
        self.sent = 0
        self._gap = 0  # the first ticket that is never used
        self._heard = dict.fromkeys(self.names, 0)  # how many were delivered

    # -- sending and receiving ---------------------------------------------------------------
    def send(self, message: Message) -> None:
        """It gets its place; its sender holds it."""
        stream = self.streams[message.sender]
        message.place = len(stream)
        message.at = self.sent
        self.sent += 1
        stream.append(message)
        if message.service is not Service.FIFO:
            self.tickets.append(message)
            message.ticket = len(self.tickets)
        self.held[message.sender][message.sender] = len(stream)

    def burn(self) -> None:
        """A ticket is granted to somebody who never uses it: a gap for ever."""
        self.tickets.append(None)
        self._gap = self._gap or len(self.tickets)

    def _holds(self, name: str, ticket: int) -> bool:
        message = self.tickets[ticket - 1]
        return message is not None and self.held[name][message.sender] > message.place

    def _line(self, name: str) -> int:
        line = self.done[name]
        while line < len(self.tickets) and self._holds(name, line + 1):
            line += 1
        return line

    def _hold(self, name: str, line: int) -> bool:
        """Let a member hold all up to `line`, if it can still receive it."""
        if self._line(name) >= line:
            return True
        if name not in self.active or 0 < self._gap <= line:
            return False
        held = self.held[name]
        for message in self.tickets[self.done[name] : line]:
            if message is not None:
                held[message.sender] = max(held[message.sender], message.place + 1)
        return True

    def can_all_hold(self, line: int) -> bool:
        """Whether every member holds all up to `line`, or may still receive it."""
        if 0 < self._gap <= line:
            return False
        return all(name in self.active or self._line(name) >= line for name in self.names)

    # -- delivering in the regular configuration ---------------------------------------------
    def deliverable(self, name: str) -> list[str]:
        """Whose next message this member may be given now."""
        if self._heard[name] == self.sent:
            return []
        return [sender for sender in self.names if self._next(name, sender) is not None]

    def first(self, name: str) -> str | None:
        """Whose next message this member may be given, the first of several; None if nobody's."""
        if self._heard[name] == self.sent:
            return None
        return next((one for one in self.names if self._next(name, one) is not None), None)

    def _next(self, name: str, sender: str) -> Message | None:
        place, stream = self.given[name][sender], self.streams[sender]
        if place >= len(stream) or name not in self.active:
            return None
        message = stream[place]
        if message.ticket:
            if message.ticket != self.done[name] + 1:
                return None
            if message.service is Service.SAFE and not self.can_all_hold(message.ticket):
                return None
        return message

    def give(self, name: str, sender: str) -> Message | None:
        """Deliver the next message of `sender` to `name`; None if that can't be."""
        message = self._next(name, sender)
        if message is None:
            return None
        if message.service is Service.SAFE:
            for one in self.names:
                self._hold(one, message.ticket)
            self.sure[name] = message.ticket
        held = self.held[name]
        held[sender] = max(held[sender], message.place + 1)
        self._given(name, message)
        return message

    def _given(self, name: str, message: Message) -> None:
        self.given[name][message.sender] = message.place + 1
        self._heard[name] += 1
        if message.ticket:
            self.done[name] = message.ticket

    # -- the end of the view for some --------------------------------------------------------
    def _gather(self, cohort: Collection[str], reach: Reach) -> dict[str, int]:
        """Return how much of each stream the cohort holds together."""
        whole = {}
        for sender in self.names:
            held = max(self.held[name][sender] for name in cohort)
            if sender not in reach.holes and any(name in self.active for name in cohort):
                stream = self.streams[sender]
                while held < len(stream) and stream[held].at < reach.extent:
                    held += 1
            whole[sender] = held
        return whole

    def recover(self, cohort: Collection[str], reach: Reach) -> None:
        """An attempt at a new view came as far as READY and failed: they are frozen."""
        whole = self._gather(cohort, reach)
        bound = frozenset(cohort).union(*(self.obligation[name] for name in cohort))
        for name in cohort:
            self.held[name] = dict(whole)
            self.obligation[name] = bound
        self.active -= set(cohort)

    def leave(self, cohort: Collection[str], reach: Reach) -> dict[str, Flushed]:
        """These go on to the next view together; return what each is still delivered."""
        whole = self._gather(cohort, reach)
        stable = self._stable(cohort, whole, reach.stable)
        bound = frozenset(cohort).union(*(self.obligation[name] for name in cohort))
        for name in cohort:
            self.held[name] = dict(whole)
        self.active -= set(cohort)
        delivered = max(self.done[name] for name in cohort)
        regular, transitional = self._schedule(whole, delivered, stable, bound)
        found = {}
        for name in cohort:
            given = self.given[name]
            parts = [
                tuple(one for one in part if one.place >= given[one.sender])
                for part in (regular, transitional)
            ]
            found[name] = Flushed(*parts)
        return found

    def _stable(self, cohort: Collection[str], whole: dict[str, int], more: int) -> int:
        """Up to where somebody of the cohort knows that all members hold everything."""
        stable = max(self.sure[name] for name in cohort)
        while more and stable < len(self.tickets):
            message = self.tickets[stable]
            if message is None or whole[message.sender] <= message.place:
                break
            if not self.can_all_hold(stable + 1):
                break
            stable, more = stable + 1, more - 1
            for name in self.names:
                self._hold(name, stable)
        return stable

    def _schedule(
        self, whole: dict[str, int], delivered: int, stable: int, bound: frozenset[str]
    ) -> tuple[list[Message], list[Message]]:
        regular: list[Message] = []
        transitional: list[Message] = []
        for sender in self.names:
            regular += self._trail(sender, -1, whole[sender])
        cut = gap = 0
        for ticket, message in enumerate(self.tickets, 1):
            is_there = message is not None and message.place < whole[message.sender]
            if not is_there and ticket > delivered:
                gap = gap or ticket
                cut = cut or ticket
            if message is None or not is_there:
                continue
            if ticket > max(delivered, stable) and message.service is Service.SAFE:
                cut = cut or ticket
            if gap and message.sender not in bound:
                continue
            part = transitional if cut else regular
            part.append(message)
            part += self._trail(message.sender, message.place, whole[message.sender])
        return regular, transitional

    def _trail(self, sender: str, place: int, whole: int) -> Iterable[Message]:
        """The FIFO messages right behind a place of a stream."""
        for message in self.streams[sender][place + 1 : whole]:
            if message.ticket:
                return
            yield message

    def state(self) -> tuple[object, ...]:
        """All that tells this configuration from another."""
        return (
            self.view.id,
            tuple(message.key if message is not None else 0 for message in self.tickets),
            tuple(tuple(one.key for one in stream) for stream in self.streams.values()),
            tuple(tuple(held.values()) for held in self.held.values()),
            tuple(tuple(given.values()) for given in self.given.values()),
            tuple(self.sure.values()),
            tuple(sorted(self.active)),
            tuple(tuple(sorted(bound)) for bound in self.obligation.values()),
        )

"""The flush layer's surroundings, played: members, their programs, and a network that splits.

One order for each part of the network, which each member reads at its own pace; what is sent is
ordered some time later. Messages of several senders may come in another order here and there.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, field

from zactor.kernel.messages.service import Service
from zactor.spread import c_constants as c
from zactor.spread.c_memberships import GroupId, SpreadError
from zactor.spread.c_received import SpreadReceived
from zactor.spread.client_frames import (
    Cause,
    SpreadLeft,
    SpreadMembership,
    SpreadMessage,
    SpreadNews,
    SpreadTransitional,
)
from zactor.spread.flush import FlushGroups, FlushMessage


def sent(sender: str, sending: FlushMessage, is_big: bool = False) -> SpreadMessage:
    """What comes of what a member sends."""
    kind = c.FIFO_MESS | (c.SUBGROUP_CAST if sending.is_subgroup else 0)
    return SpreadMessage(
        sender, sending.groups, Service.FIFO, sending.mess_type, is_big, sending.payload, kind
    )


@dataclass
class Chapter:
    """A view of a program."""

    id: GroupId
    members: tuple[str, ...]
    came_along: set[str]  # from its view before
    said: list[str] = field(default_factory=list)


@dataclass
class Member:
    """A session with its program, which notes what it gets and in which view it sends."""

    own: str
    groups: FlushGroups
    inbox: list[tuple[int, SpreadNews]] = field(default_factory=list)
    outbox: list[FlushMessage | str] = field(default_factory=list)  # messages, "join" and "leave"
    read: int = 0  # number of the last event that was taken
    is_asked: bool = False
    is_in: bool = False
    flushes: int = 0
    view: GroupId = (0, 0, 0)
    story: list[Chapter] = field(default_factory=list)
    sent: int = 0


@dataclass(eq=False)
class Part:
    """Who is connected to whom, in the group or not; and the last membership there."""

    names: list[str]
    epoch: int
    index: int = 0


class World:
    """Parts of a network, each with an order of its own."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.members: dict[str, Member] = {}
        self.epoch = 1
        self.parts = [Part([], self.epoch)]
        self.group: set[str] = set()
        self.number = self.came = 0

    def tell(self, part: Part, news: object, only: str = "") -> None:
        """Order an event: for all of the group in that part, or for one."""
        self.number += 1
        for name in [only] if only else part.names:
            if name in self.members and (only or name in self.group):
                made = news(name) if callable(news) else news
                self.put(self.members[name].inbox, made)

    def put(self, inbox: list[tuple[int, SpreadNews]], news: SpreadNews) -> None:
        """Append it; messages of two senders may come in another order here than elsewhere."""
        place = len(inbox)
        while place and isinstance(news, SpreadMessage) and self.chance.random() < 0.3:
            last = inbox[place - 1][1]
            if not isinstance(last, SpreadMessage) or last.sender == news.sender:
                break
            place -= 1
        inbox.insert(place, (self.number, news))

    def membership(self, part: Part, cause: Cause, changed: str, before: object = None) -> None:
        if cause is Cause.NETWORK:
            self.begin(part)
        part.index += 1
        id = (7, part.epoch, part.index)
        there = tuple(sorted(name for name in part.names if name in self.group))
        sets = before if isinstance(before, tuple) else ((changed,),)

        def for_one(name: str) -> SpreadMembership:
            own = next((at for at, each in enumerate(sets) if name in each), 0)
            kind = 0x1000 | cause.value
            return SpreadMembership("g", cause, there, id, sets, own, kind)

        self.tell(part, for_one)

    def begin(self, part: Part) -> None:
        self.epoch += 1
        part.epoch, part.index = self.epoch, 0

    def of(self, name: str) -> Part:
        return next(part for part in self.parts if name in part.names)

    # -- what may happen ---------------------------------------------------------------------
    def come(self) -> None:
        self.came += 1
        name = f"#m{self.came}#d"
        member = self.members[name] = Member(name, FlushGroups(name))
        self.chance.choice(self.parts).names.append(name)
        member.groups.join("g")
        member.outbox.append("join")

    def send(self, member: Member) -> None:
        member.sent += 1
        text = f"{member.own} {member.sent} {member.view}"
        try:
            member.outbox.append(member.groups.message("g", 1, text.encode()))
        except SpreadError:
            return

    def order(self, member: Member) -> None:
        """What it has sent gets its place."""
        if not member.outbox:
            return
        part, what = self.of(member.own), member.outbox.pop(0)
        if what == "join":
            self.group.add(member.own)
            self.membership(part, Cause.JOIN, member.own)
        elif what == "leave":
            self.group.remove(member.own)
            self.membership(part, Cause.LEAVE, member.own)
            self.tell(part, SpreadLeft("g", 0x200), only=member.own)
        else:
            assert isinstance(what, FlushMessage)
            self.tell(part, sent(member.own, what))

    def leave(self, member: Member) -> None:
        try:
            member.groups.leave("g")
        except SpreadError:
            return
        member.outbox.append("leave")

    def die(self, member: Member) -> None:
        part = self.of(member.own)
        for _ in range(self.chance.randrange(len(member.outbox) + 1)):
            self.order(member)
        part.names.remove(member.own)
        del self.members[member.own]
        if member.own in self.group:
            self.group.remove(member.own)
            self.membership(part, Cause.DISCONNECT, member.own)

    def split(self) -> None:
        part = self.chance.choice(self.parts)
        if len(part.names) < 2 or len(self.parts) > 2:
            return
        away = [name for name in part.names if self.chance.random() < 0.5]
        other = Part(away, part.epoch, part.index)
        part.names = [name for name in part.names if name not in away]
        self.parts.append(other)
        for half, rest in ((part, other), (other, part)):
            # The end of what the others have said may be lost here, to all alike.
            cut = max((self.members[name].read for name in half.names), default=0)
            cut = self.chance.randint(cut, self.number)
            for name in half.names:
                box = self.members[name].inbox
                box[:] = [
                    (number, news)
                    for number, news in box
                    if number <= cut
                    or not (isinstance(news, SpreadMessage) and news.sender in rest.names)
                ]
        here, there = self.there(part), self.there(other)
        for half, mine, others in ((part, here, there), (other, there, here)):
            if mine and others:
                self.tell(half, SpreadTransitional("g", (0, 0, 0), 0x2000))
                self.membership(half, Cause.NETWORK, "", (mine,))
            elif not mine:
                self.begin(half)

    def there(self, part: Part) -> tuple[str, ...]:
        return tuple(sorted(name for name in part.names if name in self.group))

    def heal(self) -> None:
        if len(self.parts) < 2:
            return
        one, two = self.parts[0], self.parts.pop()
        sets = self.there(one), self.there(two)
        one.names += two.names
        if all(sets):
            self.membership(one, Cause.NETWORK, "", sets)
        elif sets[1]:
            one.epoch, one.index = two.epoch, two.index

    def read(self, member: Member) -> None:
        if not member.inbox:
            return
        number, news = member.inbox.pop(0)
        member.read = max(member.read, number)
        member.groups.take(news)
        while member.groups.ready:
            self.note(member, member.groups.ready.popleft())
        while member.groups.out:
            member.outbox.append(member.groups.out.popleft())

    def note(self, member: Member, got: SpreadReceived) -> None:
        kind = got.service_type
        if c.Is_flush_req_mess(kind):
            assert not member.is_asked
            member.is_asked = True
        elif c.Is_reg_memb_mess(kind):
            assert not member.is_in or member.flushes == 1, "no view without one consent"
            assert not member.is_asked, "nor while it is asked"
            member.flushes = 0
            member.is_in = True
            number = int.from_bytes(got.message[8:12], "little")
            member.view = (7, int.from_bytes(got.message[4:8], "little"), number)
            body = got.message[16:]
            names = {body[at : at + 32].rstrip(b"\0").decode() for at in range(0, len(body), 32)}
            along = names if c.Is_caused_network_mess(kind) else set(got.groups)
            member.story.append(Chapter(member.view, got.groups, along))
        elif c.Is_self_leave(kind):
            member.is_in = member.is_asked = False
        elif c.Is_regular_mess(kind):
            assert got.message.decode().endswith(str(member.view)), (member.own, got)
            assert got.sender in member.story[-1].members
            member.story[-1].said.append(got.message.decode())

    def flush(self, member: Member) -> None:
        if member.is_asked:
            with contextlib.suppress(SpreadError):  # it is leaving
                member.groups.flush("g")
            member.is_asked = False
            member.flushes += 1
            member.outbox += member.groups.out
            member.groups.out.clear()

    def step(self) -> None:
        there = list(self.members.values())
        draw = self.chance.random()
        if not there or (draw < 0.01 and len(there) < 6):
            self.come()
        elif draw < 0.013:
            self.die(self.chance.choice(there))
        elif draw < 0.016:
            self.leave(self.chance.choice(there))
        elif draw < 0.022:
            self.split()
        elif draw < 0.03:
            self.heal()
        else:
            act = self.chance.choice([self.send, self.order, self.order, self.read, self.read])
            act = self.flush if draw > 0.9 else act
            act(self.chance.choice(there))

    def rest(self) -> None:
        """All get what there is, and agree to all that is asked."""
        while any(each.inbox or each.outbox or each.is_asked for each in self.members.values()):
            for member in list(self.members.values()):
                self.flush(member)
                self.order(member)
                self.read(member)

"""The flush library's names at a port with real sockets: programs as they would be written in C."""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from daemon_world import DaemonWorld, daemon_world
from deadlines import DEADLINE_S
from raw_spread import JOIN, entered
from spread_world import solo_port

from zactor.spread import c_api as sp
from zactor.spread import c_constants as c
from zactor.spread import fl_api as fl
from zactor.spread.c_received import SpreadReceived


@pytest.fixture
def daemon() -> Iterator[str]:
    with solo_port("d1") as (_, port):
        yield f"{port}@127.0.0.1"


class Program:
    """One session. Who waits for one of them lets all go on: a view needs its members' programs."""

    there: ClassVar[list[Program]] = []

    def __init__(self, daemon: str, name: str) -> None:
        self.mbox, self.own = fl.FL_connect(daemon, name)
        self.inbox: deque[SpreadReceived] = deque()
        self.there.append(self)

    def end(self) -> None:
        self.there.remove(self)
        fl.FL_disconnect(self.mbox)

    def read(self) -> None:
        """Take all that is here."""
        while True:
            try:
                got, _ = fl.FL_receive(self.mbox, service_type=c.DONT_BLOCK)
            except sp.SpreadError as error:
                if error.code != c.WOULD_BLOCK:
                    raise
                return
            self.inbox.append(got)

    def next(self) -> SpreadReceived:
        end = time.monotonic() + DEADLINE_S
        while not self.inbox:
            assert time.monotonic() < end
            select.select([each.mbox for each in self.there], [], [], 1)
            for each in self.there:
                each.read()
        return self.inbox.popleft()

    def is_asked(self, group: str = "g") -> bool:
        got = self.next()
        return c.Is_flush_req_mess(got.service_type) and got.sender == group

    def view(self, *members: str) -> SpreadReceived:
        """Take the next, which is a membership of these."""
        got = self.next()
        assert c.Is_reg_memb_mess(got.service_type), got
        assert got.groups == members
        return got

    def message(self) -> bytes:
        got = self.next()
        assert c.Is_regular_mess(got.service_type), got
        return got.message

    def say(self, text: bytes, service: int = c.AGREED_MESS) -> None:
        assert fl.FL_multicast(self.mbox, service, "g", 3, text) == len(text)


@pytest.fixture
def both(daemon: str) -> Iterator[tuple[Program, Program]]:
    """Two programs, which are in "g"."""
    a, b = Program(daemon, "a"), Program(daemon, "b")
    fl.FL_join(a.mbox, "g")
    a.view(a.own)
    fl.FL_join(b.mbox, "g")
    assert a.is_asked()
    fl.FL_flush(a.mbox, "g")
    for program in (a, b):
        program.view(a.own, b.own)
    yield a, b
    end_all()


def end_all() -> None:
    for program in list(Program.there):
        program.end()


def fails(code: int, call: object, *arguments: object) -> bool:
    assert callable(call)
    with pytest.raises(sp.SpreadError) as raised:
        call(*arguments)
    return raised.value.code == code


def test_nobody_comes_in_before_the_members_agree(
    both: tuple[Program, Program], daemon: str
) -> None:
    a, b = both
    comes = Program(daemon, "comes")
    fl.FL_join(comes.mbox, "g")
    assert a.is_asked()
    assert b.is_asked()
    fl.FL_flush(a.mbox, "g")
    assert fails(c.ILLEGAL_STATE, fl.FL_multicast, a.mbox, c.SAFE_MESS, "g", 0, b"too late")
    b.say(b"the last of the old view")
    assert a.message() == b.message() == b"the last of the old view"
    fl.FL_multicast(b.mbox, c.SAFE_MESS, comes.own, 0, b"wait")
    assert comes.message() == b"wait", "there is no view: b hasn't agreed yet"
    fl.FL_flush(b.mbox, "g")
    members = (a.own, b.own, comes.own)
    views = [program.view(*members) for program in (a, b, comes)]
    assert len({view.message for view in views}) == 1, "one id for all"
    came = views[2].message[fl.FL_get_vs_set_offset_memb_mess() :]
    assert came == comes.own.encode().ljust(32, b"\0")
    a.say(b"the first of the new view", c.FIFO_MESS)
    for program in (a, b, comes):
        got = program.next()
        assert (got.message, got.mess_type, got.sender) == (b"the first of the new view", 3, a.own)


def test_a_member_dies_in_the_middle_of_a_flush(both: tuple[Program, Program], daemon: str) -> None:
    """By hand, as another library would: it has agreed, so it is in a view, and leaves the next."""
    a, b = both
    port = int(daemon.partition("@")[0])
    with entered(("127.0.0.1", port), "dies") as dies:
        dies.send(JOIN, "g")
        id = dies.membership().id
        assert a.is_asked()
        assert b.is_asked()
        fl.FL_flush(a.mbox, "g")
        word = dies.data()
        assert (word.name, word.kind, word.hint) == (a.own, c.FIFO_MESS, b"\x80\0\x80\x80")
        assert (word.groups, word.data) == (("g",), id)
        dies.send(c.FIFO_MESS, "g", data=id, mess_type=-32768)
        assert dies.data().data == id
    b.say(b"still of the old view")
    assert a.message() == b.message() == b"still of the old view"
    fl.FL_flush(b.mbox, "g")
    for program in both:
        view = program.view(a.own, b.own, "#dies#d1")
        assert view.message[:12] == id
        assert program.is_asked()
        assert c.Is_transition_mess(program.next().service_type)
        fl.FL_flush(program.mbox, "g")
    for program in both:
        assert c.Is_caused_disconnect_mess(program.view(a.own, b.own).service_type)


def test_a_member_that_never_agreed_dies(both: tuple[Program, Program], daemon: str) -> None:
    """The change that waits for it ends, and what comes instead is caused by the network."""
    a, b = both
    comes = Program(daemon, "comes")
    fl.FL_join(comes.mbox, "g")
    assert a.is_asked()
    assert b.is_asked()
    fl.FL_flush(a.mbox, "g")
    b.end()
    assert c.Is_transition_mess(a.next().service_type)
    for program in (a, comes):
        view = program.view(a.own, comes.own)
        assert c.Is_caused_network_mess(view.service_type)
        assert view.message[12:16] == b"\1\0\0\0"
        assert view.message[16:48].rstrip(b"\0").decode() == program.own, "who came along"


def test_some_members_and_one(both: tuple[Program, Program]) -> None:
    a, b = both
    assert fl.FL_subgroupcast(a.mbox, c.SAFE_MESS, "g", [b.own], 4, b"for b") == 5
    assert fl.FL_scat_unicast(a.mbox, c.FIFO_MESS, "g", b.own, 5, [b"in ", b"pieces"]) == 9
    got, _ = fl.FL_receive(b.mbox)
    assert c.Is_subgroup_mess(got.service_type)
    assert (got.groups, got.mess_type, got.message) == ((b.own, "g"), 4, b"for b")
    whole, pieces, more = fl.FL_scat_receive(b.mbox, (3, 100))
    assert (whole.mess_type, pieces, more) == (5, [b"in ", b"pieces"], 0)
    args = (a.mbox, c.SAFE_MESS, "g")
    assert fails(c.ILLEGAL_RECEIVERS, fl.FL_subgroupcast, *args, ["#x#d1"], 4, b"")
    assert fails(c.ILLEGAL_MESSAGE_TYPE, fl.FL_multicast, *args, -32766, b"")
    assert fails(c.ILLEGAL_MESSAGE, fl.FL_scat_multicast, *args, 0, [b""] * 100)
    assert fails(c.ILLEGAL_SERVICE, fl.FL_multicast, a.mbox, c.SUBGROUP_CAST | 4, "g", 0, b"")
    assert fails(c.ILLEGAL_GROUP, fl.FL_multicast, a.mbox, c.SAFE_MESS, "elsewhere", 0, b"")
    assert fl.FL_multicast(a.mbox, c.SAFE_MESS, b.own, 1, b"to one, without a group") == 23
    assert b.message() == b"to one, without a group"


def test_what_does_not_fit_is_kept_or_cut_and_counted(both: tuple[Program, Program]) -> None:
    a, b = both
    for number in range(3):
        a.say(b"%d" % number * 100)
    assert fails(c.BUFFER_TOO_SHORT, fl.FL_receive, b.mbox, 10, 99)
    assert fails(c.GROUPS_TOO_SHORT, fl.FL_receive, b.mbox, 0)
    assert fails(c.ILLEGAL_PARAM, fl.FL_receive, b.mbox, -1)
    assert fl.FL_more_msgs(b.mbox) == 1, "what was read for it"
    assert fl.FL_poll(b.mbox) >= 48 + 32 + 100
    got, _ = fl.FL_receive(b.mbox, 10, 5, c.DROP_RECV)
    assert got.message == b"00000"
    assert b.message() == b"1" * 100
    assert b.message() == b"2" * 100


def test_leaving_and_what_is_not_allowed(both: tuple[Program, Program]) -> None:
    a, b = both
    assert fails(c.ILLEGAL_GROUP, fl.FL_join, a.mbox, "g")
    assert fails(c.ILLEGAL_GROUP, fl.FL_join, a.mbox, "no name")
    assert fails(c.ILLEGAL_STATE, fl.FL_flush, a.mbox, "g")
    assert fails(c.ILLEGAL_GROUP, fl.FL_flush, a.mbox, "elsewhere")
    fl.FL_leave(a.mbox, "g")
    assert fails(c.ILLEGAL_GROUP, fl.FL_leave, a.mbox, "g")
    assert c.Is_self_leave(a.next().service_type)
    assert b.is_asked()
    assert c.Is_transition_mess(b.next().service_type)
    fl.FL_flush(b.mbox, "g")
    assert c.Is_caused_leave_mess(b.view(b.own).service_type)
    fl.FL_join(a.mbox, "g")
    assert b.is_asked()
    fl.FL_flush(b.mbox, "g")
    for program in both:
        program.view(a.own, b.own)


def test_a_plain_member_can_not_speak_in_a_view(both: tuple[Program, Program], daemon: str) -> None:
    """It is in the daemon's group, but never agrees: so there is no view with it."""
    a, b = both
    port = int(daemon.partition("@")[0])
    with entered(("127.0.0.1", port), "plain") as plain:
        plain.send(JOIN, "g")
        plain.send(c.AGREED_MESS, "g", data=b"unheard")
        for program in both:
            assert program.is_asked()
            fl.FL_flush(program.mbox, "g")
        plain.send(c.AGREED_MESS, a.own, data=b"for you alone")
        assert a.message() == b"for you alone"
    for program in both:
        view = program.view(a.own, b.own)
        assert c.Is_caused_network_mess(view.service_type)


def test_the_errors_and_the_version(capfd: pytest.CaptureFixture[str], daemon: str) -> None:
    fl.FL_lib_init()
    assert fl.FL_version() == (2, 0, 0)
    assert (fl.FL_get_gid_offset_memb_mess(), fl.FL_get_num_vs_offset_memb_mess()) == (0, 12)
    fl.FL_error(c.WOULD_BLOCK)
    fl.FL_error(c.ILLEGAL_GROUP)
    said = capfd.readouterr().out.splitlines()
    assert said[-2:] == [
        "FL_error: (-25) Function call would have blocked.",
        "FL_error: (-14) Illegal group",
    ]
    for call in (fl.FL_poll, fl.FL_more_msgs, fl.FL_receive, fl.FL_disconnect):
        assert fails(c.ILLEGAL_SESSION, call, 12_345)
    mbox, _ = sp.SP_connect(daemon, "plain")
    assert fails(c.ILLEGAL_SESSION, fl.FL_join, mbox, "g")
    sp.SP_disconnect(mbox)


def test_the_daemon_s_end_is_told() -> None:
    with solo_port("d1") as (_, port):
        mbox, _ = fl.FL_connect(f"{port}", "a")
    assert fails(c.CONNECTION_CLOSED, fl.FL_receive, mbox)
    sp.SP_kill(mbox)


# -- several daemons -------------------------------------------------------------------------
@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[DaemonWorld]:
    """d1 and d2, which have met."""
    with daemon_world(tmp_path) as world:
        world.write(["d1", "d2"])
        world.start("d1", "d2")
        with entered(world.at("d1"), "x") as x, entered(world.at("d2"), "y") as y:
            for client in (x, y):
                client.send(JOIN, "met")
            while len(x.membership().groups) < 2:
                pass
        yield world


@pytest.mark.slow
def test_a_daemon_is_killed_in_the_middle_of_a_flush(daemons: DaemonWorld) -> None:
    """Those who are left go on together from the view that they had."""
    at = {name: f"{port}@127.0.0.1" for name, port in daemons.ports.items()}
    a, b = Program(at["d1"], "a"), Program(at["d2"], "b")
    fl.FL_join(a.mbox, "g")
    a.view(a.own)
    fl.FL_join(b.mbox, "g")
    assert a.is_asked()
    fl.FL_flush(a.mbox, "g")
    for program in (a, b):
        program.view(a.own, b.own)
    comes = Program(at["d1"], "comes")
    fl.FL_join(comes.mbox, "g")
    assert a.is_asked()
    assert b.is_asked()
    fl.FL_flush(a.mbox, "g")
    b.say(b"the last of b")
    assert a.message() == b.message() == b"the last of b"
    Program.there.remove(b)
    daemons.processes["d2"].kill()
    assert c.Is_transition_mess(a.next().service_type)
    for program in (a, comes):
        view = program.view(a.own, comes.own)
        assert c.Is_caused_network_mess(view.service_type)
        assert view.message[16:48].rstrip(b"\0").decode() == program.own
    a.say(b"and on")
    assert a.message() == comes.message() == b"and on"
    assert fails(c.CONNECTION_CLOSED, fl.FL_receive, b.mbox)
    fl.FL_disconnect(b.mbox)
    end_all()


class Talker(threading.Thread):
    """Joins, speaks as it goes, and agrees to all it is asked, until it has seen a last view."""

    def __init__(self, daemon: str, name: str, last: int) -> None:
        super().__init__(daemon=True)
        self.mbox, self.own = fl.FL_connect(daemon, name)
        self.views: list[tuple[bytes, tuple[str, ...]]] = []
        self.said: dict[bytes, list[bytes]] = {}
        self.last = last  # members of the view in which it says the last
        self.wrong: list[str] = []

    def run(self) -> None:
        fl.FL_join(self.mbox, "g")
        number = 0
        while True:
            got, _ = fl.FL_receive(self.mbox)
            if c.Is_reg_memb_mess(got.service_type):
                self.views.append((got.message[:12], got.groups))
                self.said[got.message[:12]] = []
            elif c.Is_regular_mess(got.service_type):
                self._hear(got)
                if got.message.endswith(b"the end") and got.sender == self.own:
                    return
                continue
            elif c.Is_flush_req_mess(got.service_type):
                self._speak(number)  # what belongs to the old view yet
                fl.FL_flush(self.mbox, "g")
                continue
            else:
                continue
            number += 1
            self._speak(number)
            if len(got.groups) == self.last:
                self._say(b"the end", c.SAFE_MESS)

    def _speak(self, number: int) -> None:
        for service in (c.RELIABLE_MESS, c.FIFO_MESS, c.AGREED_MESS, c.SAFE_MESS):
            self._say(b"%s %d" % (self.own.encode(), number), service)

    def _say(self, text: bytes, service: int) -> None:
        fl.FL_multicast(self.mbox, service, "g", 0, self.views[-1][0] + text)

    def _hear(self, got: SpreadReceived) -> None:
        view = self.views[-1][0]
        if got.message[:12] != view:
            self.wrong.append(f"{got.message!r} of another view came in {view!r}")
        self.said[view].append(got.message)


@pytest.mark.slow
def test_views_of_two_daemons_hold_the_same_messages_while_programs_come(
    daemons: DaemonWorld,
) -> None:
    count = 5
    talkers = [
        Talker(f"{daemons.ports[f'd{n % 2 + 1}']}@127.0.0.1", f"t{n}", count) for n in range(count)
    ]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join(DEADLINE_S)
        assert not talker.is_alive(), talker.views
    for talker in talkers:
        assert not talker.wrong
        fl.FL_disconnect(talker.mbox)
    shared = 0
    for one in talkers:
        for other in talkers:
            for (view, _), (after, _) in zip(one.views, one.views[1:], strict=False):
                ids = [id for id, _ in other.views]
                if view in ids and after in ids[ids.index(view) + 1 : ids.index(view) + 2]:
                    shared += 1
                    assert sorted(one.said[view]) == sorted(other.said[view])
    assert shared >= count, "they went together from view to view"

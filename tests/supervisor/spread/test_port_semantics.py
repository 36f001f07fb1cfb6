"""What Spread promises of messages and memberships, as programs at ports see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_spread import AGREED, FIFO, JOIN, KILL, LEAVE, RELIABLE, SAFE, entered, request
from spread_world import solo_port
from test_port_of_node import start

from zactor.lab.lab import Lab

UNRELIABLE, CAUSAL = 1, 8
ORDERED = (FIFO, CAUSAL, AGREED, SAFE)


def test_anyone_may_send_and_what_has_no_receiver_vanishes() -> None:
    with solo_port() as at, entered(at, "a") as a, entered(at, "b") as b:
        a.send(JOIN, "g")
        a.membership()
        for service in (UNRELIABLE, RELIABLE, *ORDERED):
            b.send(service, "nobody", "#nobody#n1", "#a#elsewhere", data=b"lost")
            b.send(service, "g", data=b"not a member")
            frame = a.frame()
            assert (frame.name, frame.groups, frame.data) == (b.own, ("g",), b"not a member")


def test_a_message_to_several_groups_comes_once_with_all_of_them() -> None:
    with solo_port() as at, entered(at, "a") as a, entered(at, "b") as b:
        for group in ("g", "h"):
            a.send(JOIN, group)
            a.membership()
        groups = ("h", "g", a.own, "elsewhere")
        b.send(SAFE, *groups, data=b"once")
        b.send(SAFE, "g", data=b"next")
        assert (a.frame().groups, a.frame().data) == (groups, b"next")


def test_nothing_of_a_group_comes_before_the_own_join_nor_after_the_own_leave() -> None:
    with solo_port() as at, entered(at, "a") as a, entered(at, "b") as b:
        b.send(JOIN, "g")
        b.membership()
        for turn in range(30):
            b.send(AGREED, "g", data=b"before")
            a.send(JOIN, "g")
            a.send(AGREED, a.own, data=b"joined")
            first = a.frame()
            assert (first.cause, first.vs_sets[0]) == ("join", ((a.own,),))
            frame = first
            while frame.data != b"joined":
                frame = a.frame()
            a.send(LEAVE, "g")
            b.send(AGREED, "g", data=b"after")
            while (frame := a.frame()).kind != 0x200:
                assert frame.groups == ("g",)
            a.send(SAFE, a.own, data=b"%d" % turn)
            assert a.frame().data == b"%d" % turn


def test_messages_of_one_sender_come_in_the_order_in_which_it_sent_them() -> None:
    """Of all services but RELIABLE, whatever group they are for."""
    with solo_port() as at, entered(at, "a") as a, entered(at, "b") as b:
        for group in ("g", "h"):
            a.send(JOIN, group)
            a.membership()
        sent = b"".join(
            request(ORDERED[n % 4], b.own, ("g" if n % 3 else "h",), b"%d" % n) for n in range(500)
        )
        b.socket.sendall(sent)
        assert [a.frame().data for _ in range(500)] == [b"%d" % n for n in range(500)]


def test_what_a_program_has_sent_comes_before_the_news_of_its_death() -> None:
    with solo_port() as at, entered(at, "a") as a:
        a.send(JOIN, "g")
        a.membership()
        for _ in range(10):
            with entered(at, "b") as b:
                b.send(JOIN, "g")
                assert a.membership().cause == "join"
                for number in range(50):
                    b.send(SAFE, "g", data=b"%d" % number)
                b.send(KILL, b.own)
                while b.read(65_536):
                    pass  # who closes with something unread takes back what isn't read there
            assert [a.frame().data for _ in range(50)] == [b"%d" % n for n in range(50)]
            assert a.membership().cause == "disconnect"


@pytest.mark.parametrize("forged", [0x1000 | 0x800, 0x2000, 0x400000, 0x100])
def test_a_forged_membership_is_the_message_that_it_is(forged: int) -> None:
    """Nobody takes it for the daemon's, and who sent it stays."""
    with solo_port() as at, entered(at, "a") as a, entered(at, "b") as b:
        a.send(JOIN, "g")
        a.membership()
        b.send(AGREED | forged, "g", data=b"x")
        frame = a.frame()
        assert (frame.kind, frame.name, frame.data) == (AGREED, b.own, b"x")
        b.send(SAFE, b.own, data=b"still here")
        assert b.data().data == b"still here"


# -- over several nodes ----------------------------------------------------------------------
@pytest.mark.slow
def test_an_answer_never_comes_before_what_it_answers(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        at = start(lab, "n1", "n2", "n3")
        with (
            entered(at["n1"], "asks") as asks,
            entered(at["n2"], "answers") as answers,
            entered(at["n3"], "hears") as hears,
        ):
            for client in (answers, hears):
                client.send(JOIN, "g")
            for client in (answers, hears):
                while len(client.membership().groups) < 2:
                    pass
            for number in range(200):
                asks.send(CAUSAL, "g", data=b"?%d" % number)
                assert answers.data().data == b"?%d" % number
                answers.send(CAUSAL, "g", data=b"!%d" % number)
                assert answers.data().data == b"!%d" % number
                assert hears.data().data == b"?%d" % number
                assert hears.data().data == b"!%d" % number
    finally:
        lab.close()


@pytest.mark.slow
def test_memberships_stand_at_one_place_among_the_messages_of_all_groups(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        at = start(lab, "n1", "n2")
        with (
            entered(at["n1"], "a") as a,
            entered(at["n2"], "c") as c,
            entered(at["n2"], "comes") as comes,
        ):
            for client in (a, c):
                for group in ("g", "h"):
                    client.send(JOIN, group)
            for client in (a, c):
                for _ in range(2):
                    while len(client.membership().groups) < 2:
                        pass
            for number in range(200):
                for client in (a, c):
                    client.send(AGREED, "g", data=b"%d" % number)
                    client.send(SAFE, "h", data=b"%d" % number)
                if number % 10 == 0:
                    comes.send(JOIN, "g")
                    comes.send(LEAVE, "g")
            left = 0
            while left < 20:
                left += comes.frame().kind == 0x200
            for client in (a, c):
                client.send(SAFE, "h", data=b"end")
            seen = []
            for client in (a, c):
                frames, ends = [], 0
                while ends < 2:
                    frames.append(client.frame())
                    ends += frames[-1].data == b"end"
                seen.append(frames)
            assert seen[0] == seen[1], "ids, members and places alike"
            assert sum(bool(frame.kind & 0x1000) for frame in seen[0]) == 40
    finally:
        lab.close()

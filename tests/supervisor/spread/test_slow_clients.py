"""A program that doesn't read: for ever, or as long as the settings say."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from daemon_world import ZACTOR, until
from deadlines import run_to_end, running
from raw_spread import AGREED, JOIN, RELIABLE, SAFE, Frame, entered, listens, request
from spread_world import free_port, solo_port

COUNT = 400


def test_who_takes_nothing_for_too_long_goes_and_is_told_why() -> None:
    """At the end of what it still gets; the others see it disconnect, and its senders go on."""
    with (
        solo_port(slow_client_s=2) as at,
        entered(at, "slow") as slow,
        entered(at, "sender") as sender,
        entered(at, "other") as other,
    ):
        for client in (slow, other):
            client.send(JOIN, "g")
        while len(other.membership().groups) < 2:
            pass
        whole = request(AGREED, sender.own, ("g",), bytes(100_000)) * COUNT
        sending = threading.Thread(target=sender.socket.sendall, args=(whole,))
        sending.start()
        seen = [other.frame()]
        while seen[-1].kind & AGREED:
            seen.append(other.frame())
        gone = seen[-1]
        assert (gone.cause, gone.groups) == ("disconnect", (other.own,))
        # From now on it has two seconds to read what is there for it.
        frames = [slow.frame(), slow.frame()]
        while frames[-1].kind & AGREED or frames[-1].kind & 0x1000:
            frames.append(slow.frame())
        assert frames[-1] == Frame(
            RELIABLE,
            "#daemon#n1",
            (slow.own,),
            b"\x80\0\0\x80",
            b"cut off: it has taken nothing for 2 s",
        )
        assert slow.at_end()
        assert len(frames) < COUNT, "the rest was dropped"
        seen += [other.frame() for _ in range(COUNT + 1 - len(seen))]
        sending.join(30)
        assert not sending.is_alive(), "its senders go on"
        assert [frame for frame in seen if not frame.kind & AGREED] == [gone]


def test_who_reads_a_little_now_and_then_stays() -> None:
    with (
        solo_port(slow_client_s=5) as at,
        entered(at, "slow") as slow,
        entered(at, "sender") as sender,
    ):
        slow.send(JOIN, "g")
        slow.membership()
        whole = request(SAFE, sender.own, ("g",), bytes(100_000)) * COUNT
        sending = threading.Thread(target=sender.socket.sendall, args=(whole,))
        sending.start()
        for _ in range(COUNT):
            assert len(slow.data().data) == 100_000
        sending.join(30)
        assert not sending.is_alive()


def test_a_node_cuts_off_the_slow_ones_if_it_is_told_to(tmp_path: Path) -> None:
    at = ("127.0.0.1", free_port())
    node = [*ZACTOR, "node", "--name", "n1", "--home", tmp_path / "home", "--slow-client", "1"]
    without = run_to_end(node)
    assert without.returncode == 2
    assert "--slow-client is about programs of Spread: it wants --spread" in without.stderr
    with (
        (tmp_path / "log").open("wb") as log,
        running([*node, "--spread", f"127.0.0.1:{at[1]}"], stdout=log, stderr=log),
    ):
        until("it listens", lambda: listens(at))
        _flood_one_that_does_not_read(at)
    assert "it has taken nothing for 1 s" in (tmp_path / "log").read_text()


def _flood_one_that_does_not_read(at: tuple[str, int]) -> None:
    """Return when it was cut off."""
    with entered(at, "slow") as slow, entered(at, "other") as other:
        for client in (slow, other):
            client.send(JOIN, "g")
        while len(other.membership().groups) < 2:
            pass
        sending = threading.Thread(
            target=other.socket.sendall,
            args=(request(AGREED, other.own, ("g",), bytes(100_000)) * COUNT,),
        )
        sending.start()
        frame = other.frame()
        while frame.kind & AGREED:
            frame = other.frame()
        assert (frame.cause, frame.groups) == ("disconnect", (other.own,))
        other.socket.shutdown(socket.SHUT_RD)
        other.close()
        sending.join(30)
        assert not sending.is_alive()

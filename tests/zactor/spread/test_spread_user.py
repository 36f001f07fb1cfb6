"""`zactor spuser`, typed into a real terminal: the keys and texts of Spread's program."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from collections.abc import Iterator

import pytest
from deadlines import running
from raw_spread import JOIN, SAFE, RawSpread, entered
from spread_world import solo_port

DEADLINE_S = 60


class Terminal:
    """What a person types, and sees."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.seen = ""

    def types(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())

    def shows(self, text: str) -> None:
        """Read on until `text` is there; forget what came before."""
        end = time.monotonic() + DEADLINE_S
        while text not in self.seen:
            left = end - time.monotonic()
            ready, _, _ = select.select([self._descriptor], [], [], max(left, 0))
            assert ready, f"{text!r} isn't shown, but {self.seen!r}"
            self.seen += os.read(self._descriptor, 65_536).decode().replace("\r\n", "\n")
        self.seen = self.seen.partition(text)[2]


@pytest.fixture
def daemon() -> Iterator[tuple[str, int]]:
    with solo_port("d1") as at:
        yield at


def test_a_session_as_lab_sheets_have_it(daemon: tuple[str, int]) -> None:
    main, side = pty.openpty()
    command = [sys.executable, "-P", "-m", "zactor", "spuser", "-u", "alice"]
    try:
        with (
            entered(daemon, "bob") as bob,
            running(
                [*command, "-s", f"{daemon[1]}@127.0.0.1"], stdin=side, stdout=side, stderr=side
            ) as child,
        ):
            terminal = Terminal(main)
            _talk(terminal, bob)
            terminal.types("q")
            terminal.shows("Bye.")
            assert child.wait(DEADLINE_S) == 0
            while not (frame := bob.frame()).kind & 0x1000:
                pass
            assert frame.cause == "leave"
    finally:
        os.close(main)
        os.close(side)


def _talk(terminal: Terminal, bob: RawSpread) -> None:
    terminal.shows("Spread library version is 4.4.0\nUser: connected to ")
    terminal.shows("with private group #alice#d1")
    terminal.shows("User> ")
    terminal.types("j room")
    terminal.shows(
        "============================\n"
        "Received REGULAR membership for group room with 1 members, where I am member 0:\n"
        "\t#alice#d1\n"
        "grp id is "
    )
    terminal.shows("Due to the JOIN of #alice#d1\n")
    bob.send(JOIN, "room")
    terminal.shows("with 2 members, where I am member 0:\n\t#alice#d1\n\t#bob#d1\n")
    terminal.shows("Due to the JOIN of #bob#d1\n")
    terminal.types("s room other")
    terminal.shows("enter message: ")
    terminal.types("hello there")
    terminal.shows(
        "received SAFE message from #alice#d1, of type 1, (endian 0) to 2 groups \n"
        "(12 bytes): hello there\n"
    )
    assert bob.membership().cause == "join"
    frame = bob.data()
    assert (frame.kind, frame.groups, frame.data) == (SAFE, ("room", "other"), b"hello there\n")
    terminal.types("b room")
    terminal.shows("enter size of each message: ")
    terminal.types("20")
    terminal.shows("sending 10 messages of 20 bytes\nsent message 1 (total 2)\n")
    terminal.shows("sent message 10 (total 11)\n")
    terminal.shows("received FIFO message from #alice#d1, of type 2, (endian 0) to 1 groups \n")
    terminal.shows("(20 bytes): mess num 11")
    terminal.types("d")
    terminal.types("p")
    terminal.shows("Polling sais: 0")
    bob.send(SAFE, "room", data=b"\x1b[2Jwaits")
    terminal.types("r")
    terminal.shows("(9 bytes): \\x1b[2Jwaits")
    terminal.types("l")
    terminal.shows("invalid group")
    terminal.types("e")
    terminal.types("l room")
    terminal.shows("received membership message that left group room\n")

"""The program spuser: join groups, send to them, and see what comes.

Its keys and words are Spread's, since lab sheets and scripts match them.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable

from zactor.kernel.errors import NotReachable, ZactorError
from zactor.kernel.messages.service import Service
from zactor.kernel.printable import printable
from zactor.spread.client_frames import (
    Cause,
    SpreadLeft,
    SpreadMembership,
    SpreadMessage,
    SpreadNews,
    SpreadTransitional,
)
from zactor.spread.connection import SpreadConnection

VERSION = "4.4.0"
GROUPS_MAX = 10  # of one message
BURST_MESSAGES = 10
BURST_BYTES_MAX = 102_400
_NO_GROUP = "dummy_group_name"  # of a burst to none
_MENU = """
==========
User Menu:
----------

	j <group> -- join a group
	l <group> -- leave a group

	s <group> -- send a message
	m <group> -- send a multiline message to group. Terminate with empty line
	b <group> -- send a burst of messages

	r -- receive a message (stuck)
	p -- poll for a message
	e -- enable asynchonous read (default)
	d -- disable asynchronous read

	q -- quit
"""


def words_of(news: SpreadNews, own: str) -> str:
    """Return what is shown of a message or a membership, as Spread's program shows it."""
    match news:
        case SpreadMessage():
            text = printable(
                news.payload.partition(b"\0")[0].decode("utf-8", "replace"), keep="\n\t"
            )
            return (
                f"received {news.service.name} message from {printable(news.sender)},"
                f" of type {news.mess_type}, (endian {int(news.endian_mismatch)})"
                f" to {len(news.groups)} groups \n({len(news.payload)} bytes): {text}"
            )
        case SpreadMembership():
            return _words_of_membership(news, own)
        case SpreadTransitional():
            return f"received TRANSITIONAL membership for group {printable(news.group)}"
        case SpreadLeft():
            return f"received membership message that left group {printable(news.group)}"


def _words_of_membership(news: SpreadMembership, own: str) -> str:
    place = news.members.index(own) if own in news.members else -1
    lines = [
        f"Received REGULAR membership for group {printable(news.group)} with"
        f" {len(news.members)} members, where I am member {place}:"
    ]
    lines += [f"\t{printable(member)}" for member in news.members]
    lines.append("grp id is {} {} {}".format(*news.id))
    if news.cause is Cause.NETWORK:
        lines.append(f"Due to NETWORK change with {len(news.vs_sets)} VS sets")
        for number, part in enumerate(news.vs_sets):
            whose = "LOCAL" if number == news.own_set else "OTHER"
            lines.append(f"{whose} VS set {number} has {len(part)} members:")
            lines += [f"\t{printable(member)}" for member in part]
    else:
        lines.append(f"Due to the {news.cause.name} of {printable(news.changed or '')}")
    return "\n".join(lines)


class SpreadUser:
    """One run of the program, on standard input and output."""

    def __init__(self, connection: SpreadConnection) -> None:
        self._connection = connection
        self._input = b""
        self._is_async = True
        self._burst_bytes = 0  # of each message of the last burst
        self._sent = 0
        self._keys: dict[str, Callable[[list[str]], None]] = {
            "j": self._join,
            "l": self._leave,
            "s": self._send,
            "m": self._send_lines,
            "b": self._burst,
            "r": lambda _: self._receive(),
            "p": lambda _: _say(f"Polling sais: {self._poll()}"),
            "e": lambda _: self._set_async(True),
            "d": lambda _: self._set_async(False),
        }

    def run(self) -> int:
        """Serve keys until `q` or the end of the input; return the exit code."""
        _say(_MENU)
        _prompt()
        try:
            while self._step():
                pass
        except NotReachable as error:
            _say(f"\n{error}\nBye.")
            return error.exit_code
        _say("\nBye.")
        return 0

    def _step(self) -> bool:
        """Wait for a key or for news; False: it is over."""
        if self._is_async and self._connection.pending:
            self._receive()
            _prompt()
            return True
        if b"\n" not in self._input:
            sources = [sys.stdin.fileno(), *([self._connection] if self._is_async else [])]
            ready, _, _ = select.select(sources, [], [])
            if self._connection in ready:
                self._receive()
                _prompt()
                return True
        line = self._line()
        if line is None or line.strip() == "q":
            return False
        words = line.split()
        if words:
            key = self._keys.get(words[0])
            try:
                if key is None:
                    _say("\nUnknown commnad")
                    _say(_MENU)
                else:
                    key(words[1:])
            except NotReachable:
                raise
            except ZactorError as error:
                _say(f" {error}")
        _prompt()
        return True

    def _line(self) -> str | None:
        while b"\n" not in self._input:
            data = os.read(sys.stdin.fileno(), 4096)
            if not data:
                return None
            self._input += data
        line, _, self._input = self._input.partition(b"\n")
        return line.decode("utf-8", "replace")

    # -- keys --------------------------------------------------------------------------------
    def _join(self, words: list[str]) -> None:
        if not words:
            _say(" invalid group")
            return
        self._connection.join(words[0])

    def _leave(self, words: list[str]) -> None:
        if not words:
            _say(" invalid group")
            return
        self._connection.leave(words[0])

    def _send(self, words: list[str]) -> None:
        if not 1 <= len(words) <= GROUPS_MAX:
            _say(" invalid group")
            return
        _say("enter message: ", end="")
        line = self._line()
        if line is not None:
            payload = f"{line}\n".encode()
            self._connection.multicast(tuple(words), payload, Service.SAFE, mess_type=1)
            self._sent += 1

    def _send_lines(self, words: list[str]) -> None:
        if not 1 <= len(words) <= GROUPS_MAX:
            _say(" invalid group")
            return
        _say("enter message: ", end="")
        lines = []
        while line := self._line():
            lines.append(f"{line}\n")
        payload = "".join(lines).encode()
        self._connection.multicast(tuple(words), payload, Service.SAFE, mess_type=1)
        self._sent += 1

    def _burst(self, words: list[str]) -> None:
        group = words[0] if words else _NO_GROUP
        _say("enter size of each message: ", end="")
        text = (self._line() or "").strip()
        if text.isdecimal():
            self._burst_bytes = min(int(text), BURST_BYTES_MAX)
        size = self._burst_bytes
        _say(f"sending {BURST_MESSAGES} messages of {size} bytes")
        for number in range(1, BURST_MESSAGES + 1):
            self._sent += 1
            payload = b"mess num %d " % self._sent
            self._connection.multicast(
                group, payload[:size].ljust(size, b"\0"), Service.FIFO, mess_type=2
            )
            _say(f"sent message {number} (total {self._sent})")

    def _receive(self) -> None:
        news = self._connection.receive()
        _say(f"\n============================\n{words_of(news, self._connection.private_group)}")

    def _poll(self) -> int:
        """Return how many bytes wait; 1 at least where something was received already."""
        if self._connection.pending:
            return 1
        ready, _, _ = select.select([self._connection], [], [], 0)
        return len(self._connection.socket.recv(1 << 16, 2)) if ready else 0  # MSG_PEEK

    def _set_async(self, is_async: bool) -> None:
        self._is_async = is_async


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


def _prompt() -> None:
    _say("\nUser> ", end="")

"""Cluster transcripts: a story in plain text, commands and the whole trace they lead to.

A line that begins with `$ ` is a command, `#` a comment; all others are the trace, in ms of the
virtual clock. `play_script` does the commands and returns the text as it should be.

    $ start n1 n2             processes; crash NAME [silent], stop NAME, pause NAME, hang NAME,
                              resume NAME
    $ run 500                 so many ms go by
    $ until Sync              go on until a node sends this message (3rd: until Sync 3)
    $ split n1,n2 | n3        cut parts from each other; cut n1 > n2: one way; heal: all
    $ open n1 ann             a session; close n1 ann; join n1 ann red; leave n1 ann red
    $ send n1 ann safe red    a message; send n1 ann fifo red x 20: so many
    $ slow n2 10              n2's sessions read 10 messages/s; slow n2 0: at once
    $ quiet                   what follows is not shown until `loud`
    $ show n1                 its view, what waits and what it holds
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

from zactor.kernel.errors import ConfigError
from zactor.kernel.groups import events
from zactor.kernel.groups.settings import Settings
from zactor.kernel.messages.service import Service
from zactor.testing.group_sim.cluster import Cluster, SimNode
from zactor.testing.group_sim.faults import Faults
from zactor.testing.group_sim.history import Line
from zactor.testing.group_sim.picture import words

_HIDDEN = ("submit", "up", "pause", "resume")
_HIDDEN_MESSAGES = ("TicketRequest", "TicketGrant", "GroupAck", "AckSummary")
_UNTIL_MS_MAX = 60_000


def _is_shown(line: Line) -> bool:
    if line["k"] == "message":
        return line["message"] not in _HIDDEN_MESSAGES
    if line["k"] == "note":
        return line["event"] not in ("ballot_promised",)
    return line["k"] not in _HIDDEN


class Script:
    """One transcript being played."""

    def __init__(self, settings: Settings | None = None) -> None:
        faults = Faults(delay_ms_min=1.0, delay_ms_max=1.0)
        self.cluster = Cluster(random.Random(1), faults, settings)
        self._shown = 0  # lines of the log
        self._loud = True
        self._cuts: list[tuple[str, str]] = []

    def do(self, command: str) -> list[str]:
        """Do one command; return the trace it leads to.

        Raises:
            ConfigError: it is no command.
        """
        verb, *rest = command.split()
        method: Callable[..., str | None] | None = getattr(self, f"_do_{verb}", None)
        if method is None:
            raise ConfigError(f"{command!r} is no command of a script")
        answer = method(*rest)
        fresh = self.cluster.lines[self._shown :]
        self._shown = len(self.cluster.lines)
        trace = []
        if self._loud:
            for line in filter(_is_shown, fresh):
                trace.append(f"{line['t'] / 1e6:10.1f} {line['p']} {words(line)}")
        return [*trace, answer] if answer else trace

    def _node(self, name: str) -> SimNode:
        return self.cluster.nodes[name]

    # -- processes ---------------------------------------------------------------------------
    def _do_start(self, *names: str) -> None:
        for name in names:
            self.cluster.start(name)

    def _do_crash(self, name: str, silent: str = "") -> None:
        self.cluster.crash(name, refused=not silent)

    def _do_stop(self, name: str) -> None:
        self.cluster.stop(name)

    def _do_pause(self, name: str) -> None:
        self.cluster.pause(name)

    def _do_hang(self, name: str) -> None:
        self.cluster.hang(name)

    def _do_resume(self, name: str) -> None:
        self.cluster.resume(name)

    # -- time --------------------------------------------------------------------------------
    def _do_run(self, ms: str) -> None:
        self.cluster.run_ms(float(ms))

    def _do_until(self, message: str, count: str = "1") -> None:
        begin, left = len(self.cluster.lines), int(count)
        for _ in range(_UNTIL_MS_MAX * 10):
            self.cluster.run_ms(0.1)
            seen = [line for line in self.cluster.lines[begin:] if line["k"] == "message"]
            if sum(line["message"] == message for line in seen) >= left:
                return
        raise ConfigError(f"nobody sent {message} within a minute")

    # -- network -----------------------------------------------------------------------------
    def _do_split(self, *parts: str) -> None:
        sets = [part.split(",") for part in parts if part != "|"]
        for one, other in itertools.permutations(sets, 2):
            for pair in itertools.product(one, other):
                self.cluster.cut(*pair)

    def _do_cut(self, source: str, _arrow: str, target: str) -> None:
        self.cluster.cut(source, target)

    def _do_heal(self) -> None:
        self.cluster.heal_all()

    # -- sessions ----------------------------------------------------------------------------
    def _do_open(self, name: str, session: str) -> None:
        self.cluster.step(self._node(name), events.SessionOpened(session))

    def _do_close(self, name: str, session: str) -> None:
        self.cluster.ask(self._node(name), events.SessionClosed(session))

    def _do_join(self, name: str, session: str, group: str) -> None:
        self.cluster.ask(self._node(name), events.Join(session, group))

    def _do_leave(self, name: str, session: str, group: str) -> None:
        self.cluster.ask(self._node(name), events.Leave(session, group))

    def _do_send(self, name: str, session: str, service: str, *rest: str) -> None:
        groups, count = (rest[:-2], int(rest[-1])) if "x" in rest else (rest, 1)
        event = events.Submit(session, Service.parse(service), groups, b"")
        for _ in range(count):
            self.cluster.ask(self._node(name), event)

    def _do_slow(self, name: str, reads_per_s: str) -> None:
        self._node(name).reads_per_s = float(reads_per_s)

    # -- what is shown -----------------------------------------------------------------------
    def _do_quiet(self) -> None:
        self._loud = False

    def _do_loud(self) -> None:
        self._shown = len(self.cluster.lines)
        self._loud = True

    def _do_show(self, name: str) -> str:
        engine = self._node(name).engine
        members = " ".join(str(node) for node in engine.view.members)
        waiting, held = engine.multicast.waiting, engine.multicast.held_count
        view = f"view {engine.view.id} {{{members}}}"
        return f"           {name}: {view}, {waiting} wait, {held} held"


def play_script(text: str, settings: Settings | None = None) -> str:
    """Do the commands in `text`; return it with the trace that they lead to now."""
    script = Script(settings)
    return "\n".join(_play(script, text)) + "\n"


def _play(script: Script, text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("$ "):
            yield line
            yield from script.do(line[2:])
        elif line.startswith("#") or not line.strip():
            yield line

"""A member that reads nothing: who sends to its group waits for it, and nobody else does."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S
from rude_clients import Unmet

from zactor import Mailbox, RegularMessage, TimedOut, ZactorError, connect
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).with_name("ordered_actors.py")
HEARD_S_MAX = 5.0  # 1 s, and what a busy machine adds; a sleeper is closed after 15 s
STILL_S = 1.0
PAYLOAD = b"x" * 10_000


class Writer:
    """Sends to groups as fast as it may, in a thread."""

    def __init__(self, lab: Lab, at: str, *groups: str) -> None:
        self.count = 0
        self._groups = groups
        self._counted_at = time.monotonic()
        self._is_over = threading.Event()
        self._box = Mailbox("writer", lab.endpoint(at), home=lab.home)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(ZactorError), self._box as box:
            while not self._is_over.is_set():
                box.multicast(self._groups, PAYLOAD)
                self.count += 1
                self._counted_at = time.monotonic()

    def waits(self) -> bool:
        """Whether it has sent nothing for a while."""
        return time.monotonic() - self._counted_at > STILL_S

    def close(self) -> None:
        self._is_over.set()
        self._thread.join(DEADLINE_S)


def speak_elsewhere(lab: Lab, at: str) -> None:
    """A newcomer says something to another group, and hears it in time."""
    try:
        with Mailbox("other", lab.endpoint(at), home=lab.home, timeout=HEARD_S_MAX) as box:
            box.join("elsewhere")
            box.multicast("elsewhere", b"hello")
            while not isinstance(box.receive(HEARD_S_MAX), RegularMessage):
                pass
    except TimedOut as error:
        raise Unmet(f"at {at}: {error}") from error


@contextlib.contextmanager
def asleep(lab: Lab, name: str, at: str, *groups: str) -> Iterator[None]:
    """A member of these groups that reads nothing."""
    with Mailbox(name, lab.endpoint(at), home=lab.home) as box:
        for group in groups:
            box.join(group)
        yield


@contextlib.contextmanager
def writing(lab: Lab, at: str, *groups: str) -> Iterator[Writer]:
    """Somebody who sends to these groups."""
    with contextlib.closing(Writer(lab, at, *groups)) as writer:
        until("the writer writes", lambda: writer.count > 0)
        yield writer


@contextlib.contextmanager
def sleeper(lab: Lab) -> Iterator[None]:
    """A member at n1 that reads nothing, while a writer at n2 waits for it."""
    with writing(lab, "n2", "room") as writer, asleep(lab, "sleeper", "n1", "room"):
        until("the writer waits for the sleeper", writer.waits)
        yield


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """n1 and n2, which know each other."""
    lab.start("n1")
    lab.start("n2")
    until("they meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    return lab


@pytest.mark.slow
def test_a_member_that_reads_nothing_holds_up_no_other_group(lab: Lab) -> None:
    with sleeper(lab):
        for at in ("n1", "n2"):
            speak_elsewhere(lab, at)


@pytest.mark.slow
def test_nor_do_several_whose_groups_a_writer_sends_to_at_once(lab: Lab) -> None:
    """One is in two groups, one with the writer; the message to both groups waits, and no other."""
    with (
        writing(lab, "n2", "room", "hall") as writer,
        writing(lab, "n1", "hall") as other,
        asleep(lab, "s1", "n1", "room", "cellar"),
        asleep(lab, "s2", "n2", "hall"),
    ):
        until("the writers wait", lambda: writer.waits() and other.waits())
        for at in ("n1", "n2"):
            speak_elsewhere(lab, at)


@pytest.mark.slow
def test_nor_does_a_program_that_comes_again_and_again(lab: Lab) -> None:
    with writing(lab, "n2", "room") as writer:
        for _ in range(3):
            with asleep(lab, "sleeper", "n1", "room"):
                until("the writer waits for the sleeper", writer.waits)
                speak_elsewhere(lab, "n2")
            until("the writer writes again", lambda: not writer.waits())


@pytest.mark.slow
def test_nor_does_an_actor_that_sleeps(lab: Lab) -> None:
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("sleeper", ACTORS)
        m.deploy_actor("sleeper", "s1", "n1")
        writer = Writer(lab, "n2", "room")
        until("the writer waits for the sleeper", lambda: writer.count > 0 and writer.waits())
        for at in ("n1", "n2"):
            speak_elsewhere(lab, at)
        lab.kill("n1")
        until("the writer writes again", lambda: not writer.waits())
        writer.close()


@pytest.mark.slow
def test_a_member_that_reads_nothing_holds_up_no_interaction(lab: Lab) -> None:
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        for kind in ("teller", "hearer"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("teller", "t1", "n2")
        m.deploy_actor("hearer", "h1", "n1")
        m.react_interaction("h1", "t1", "said", service="agreed")
        m.tell("t1", "burst", 1)
        until("it is heard", lambda: m.ask("h1", "count") == 1)
        with sleeper(lab):
            m.tell("t1", "burst", 1)
            end = time.monotonic() + HEARD_S_MAX
            while m.ask("h1", "count") < 2:
                if time.monotonic() > end:
                    raise Unmet(f"a signal isn't heard in {HEARD_S_MAX:g} s")

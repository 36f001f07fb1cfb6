"""What a node says goes where it goes, and costs nobody anything where it can't."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zactor import RemoteActionError, connect
from zactor.lab.lab import Lab, until

ACTOR = """
from zactor import Actor, action


class Bad:
    def __repr__(self):
        raise ValueError("no")


class Loud(Actor):
    @action
    def say(self, words):
        print(words)
        return len(words)

    @action
    def tell(self):
        self.log.info("told", value=Bad())
        return "told"

    @action
    def fail(self):
        raise ValueError("no")


class Diary(Actor):
    def __init__(self):
        self.log = []

    @action
    def note(self, what):
        self.log.append(what)
        return self.log
"""


class Redirected(Lab):
    """The output of each node goes where a shell is told to let it go."""

    _where = ""

    def prefix(self, name: str) -> list[str]:
        return ["sh", "-c", f'exec "$@" {self._where}', "sh"]

    @contextlib.contextmanager
    def started(self, where: str) -> Iterator[None]:
        self._where = where
        self.start("n1")
        yield


@contextlib.contextmanager
def pipe(folder: Path) -> Iterator[tuple[str, int]]:
    """Where output goes, as a shell is told, and who could read it."""
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    yield f">{folder / 'pipe'} 2>&1", reader


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Redirected]:
    made = Redirected(tmp_path)
    (tmp_path / "loud.py").write_text(ACTOR)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def full(lab: Redirected) -> Iterator[None]:
    with lab.started(">/dev/full 2>&1"):
        yield


@contextlib.contextmanager
def closed(lab: Redirected) -> Iterator[None]:
    with lab.started(">&- 2>&-"):
        yield


@contextlib.contextmanager
def a_pipe_that_nobody_reads(lab: Redirected) -> Iterator[None]:
    with pipe(lab.home) as (where, reader), lab.started(where):
        yield
        os.close(reader)


@contextlib.contextmanager
def a_pipe_whose_reader_has_gone(lab: Redirected) -> Iterator[None]:
    with pipe(lab.home) as (where, reader), lab.started(where):
        os.close(reader)
        yield


@pytest.mark.slow
@pytest.mark.parametrize(
    "output", [full, closed, a_pipe_that_nobody_reads, a_pipe_whose_reader_has_gone]
)
def test_who_prints_or_logs_goes_on_where_there_is_no_place_for_it(
    lab: Redirected, output: Callable[[Redirected], contextlib.AbstractContextManager[None]]
) -> None:
    with output(lab), connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("loud", lab.home / "loud.py")
        m.deploy_actor("loud", "l", "n1")
        for size in (1, 10_000, 200_000, 1):
            assert m.ask("l", "say", "x" * size) == size
        assert m.ask("l", "tell") == "told"
        with pytest.raises(RemoteActionError, match="ValueError: no"):
            m.ask("l", "fail")
        m.deploy_actor("loud", "l2", "n1")
        assert m.ask("l2", "say", "y") == 1


@pytest.mark.slow
def test_what_an_actor_prints_is_there_at_once_and_it_may_have_a_log_of_its_own(
    lab: Redirected,
) -> None:
    lab.start("n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("loud", lab.home / "loud.py")
        m.declare_factory("diary", lab.home / "loud.py")
        m.deploy_actor("loud", "l", "n1")
        m.ask("l", "say", "HELLO from the actor")
        until("it is there", lambda: "HELLO from the actor\n" in lab.output("n1"))
        m.deploy_actor("diary", "d", "n1")
        assert m.ask("d", "note", "one") == ["one"]

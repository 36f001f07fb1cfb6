"""Lines that the page asks for: each is carried out once, however often it is asked for."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from deadlines import DEADLINE_S

pytest.importorskip("starlette", reason="the extra zactor[web] isn't installed")
pytest.importorskip("uvicorn", reason="the extra zactor[web] isn't installed")

from http_world import free_port, serving
from starlette.types import ASGIApp

from zactor.commands.command import Command, CommandCall
from zactor.web import server
from zactor.web.feed import Feed
from zactor.web.guard import Guard, local_hosts

TOKEN = "t" * 43
HEADERS = {
    "authorization": f"Bearer {TOKEN}",
    "content-type": "application/json",
    "x-zactor": "1",
}


class Answered(NamedTuple):
    """A status and what was said."""

    status: int
    said: dict[str, object]


class Lines:
    """A page's server whose one command waits until it is let go; `wrong` raises at once."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        self.count = 0
        self.port = free_port()

    def app(self) -> ASGIApp:
        nobody = None
        guard = Guard(
            local_hosts(self.port), self.port, TOKEN, files=frozenset(), now_s=lambda: 1_000.0
        )
        return server.PageServer(
            guard=guard,
            feed=Feed(nobody),  # type: ignore[arg-type]  # it isn't run
            master=nobody,  # type: ignore[arg-type]  # nothing here reaches it
            session=nobody,  # type: ignore[arg-type]  # the same
            read_line=self._read,
            files={},
            me="web:ann@lab page",
        ).app()

    def _read(self, line: str) -> CommandCall:
        return CommandCall(Command(words="slow", help="", act=lambda *_: self._act(line)), {})

    def _act(self, line: str) -> object:
        self.count += 1
        self.begun.release()
        if line == "wrong":
            raise ValueError("a bug")
        assert self.go.wait(DEADLINE_S)
        return self.count

    def do(self, id_: str, line: str = "slow") -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        connection.request("POST", f"/api/v1/do?id={id_}", json.dumps({"line": line}), HEADERS)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return Answered(answer.status, json.loads(text) if text[:1] == b"{" else {})


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines()
    with serving(made.app(), made.port):
        try:
            yield made
        finally:
            made.go.set()


def error_of(answer: Answered) -> tuple[int, object]:
    return answer.status, answer.said["error"]


def test_a_line_that_is_under_way_is_not_begun_again(lines: Lines) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(lines.do, "a1")
        assert lines.begun.acquire(timeout=DEADLINE_S)
        for _ in range(3):
            assert error_of(lines.do("a1")) == (409, "UnderWay")
        other = pool.submit(lines.do, "a2")
        assert lines.begun.acquire(timeout=DEADLINE_S)
        lines.go.set()
        assert first.result(DEADLINE_S).status == 200
        assert other.result(DEADLINE_S).status == 200
    assert lines.do("a1") == first.result()
    assert lines.count == 2


def test_a_line_that_takes_too_long_goes_on_and_tells_the_next_who_asks(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DO_S", 0.05)
    assert error_of(lines.do("a1")) == (504, "TimedOut")
    assert error_of(lines.do("a1")) == (409, "UnderWay")
    lines.go.set()
    end = time.monotonic() + DEADLINE_S
    while (answer := lines.do("a1")).status == 409:
        assert time.monotonic() < end
    assert answer.said["result"] == 1
    assert lines.count == 1


def test_a_line_that_failed_here_is_not_tried_again(lines: Lines) -> None:
    assert lines.do("a1", "wrong").status == 500
    assert error_of(lines.do("a1", "wrong")) == (500, "ValueError")
    assert lines.count == 1


def test_lines_under_way_and_ids_have_limits(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(lines.do("a" * 65)) == (400, "BadId")
    assert error_of(lines.do("a%20b")) == (400, "BadId")
    monkeypatch.setattr(server, "LINES_MAX", 1)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(lines.do, "")
        assert lines.begun.acquire(timeout=DEADLINE_S)
        assert error_of(lines.do("")) == (503, "TooMany")
        lines.go.set()
        assert first.result(DEADLINE_S).status == 200
    assert lines.do("").status == 200
    assert lines.count == 2, "without an id each is one of its own"

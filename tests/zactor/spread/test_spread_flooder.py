"""`zactor spflooder` at a port with real sockets: alone, with others, reading and writing only."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator

import pytest
from deadlines import run_to_end
from spread_world import solo_port

from zactor.spread import SpreadConnection
from zactor.spread.flooder import Flood, FloodReport, flood


@pytest.fixture
def daemon() -> Iterator[str]:
    with solo_port("d1") as (_, port):
        yield f"{port}@127.0.0.1"


def test_alone(daemon: str) -> None:
    lines: list[str] = []
    with SpreadConnection(daemon, "a", membership=False) as connection:
        done = flood(connection, Flood(messages=2_500, bytes=10), lines.append)
    assert (done.sent, done.received) == (2_500, 2_500)
    assert [line for line in lines if "completed   " in line] == [
        "flooder: completed   1000 messages of 10 bytes",
        "flooder: completed   2000 messages of 10 bytes",
    ]
    assert lines[-1] == "flooder: completed multicast of 2500 messages, 10 bytes each."


def test_two_who_wait_for_each_other(daemon: str) -> None:
    done: list[FloodReport] = []

    def run(name: str) -> None:
        with SpreadConnection(daemon, name) as connection:
            wanted = Flood(messages=700, bytes=100, members=2)
            done.append(flood(connection, wanted, lambda _: None))

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert [(each.sent, each.received) for each in done] == [(700, 1_400)] * 2


def test_as_programs_one_reads_and_one_writes(daemon: str) -> None:
    command = [sys.executable, "-P", "-m", "zactor", "spflooder", "-s", daemon, "-b", "50"]
    done: list[str] = []
    reading = threading.Thread(
        target=lambda: done.append(run_to_end([*command, "-ro", "-m", "300", "--json"]).stdout)
    )
    with SpreadConnection(daemon, "watch") as watch:
        watch.join("flooder")
        watch.receive(20)
        reading.start()
        watch.receive(60)  # it has joined
        wrote = run_to_end([*command, "-wo", "-m", "300", "-u", "w"])
        assert wrote.returncode == 0
        assert "flooder: 300 messages in " in wrote.stdout
    reading.join(60)
    assert not reading.is_alive()
    assert json.loads(done[0])["messages"] == 300


def test_reading_and_writing_only_is_one_too_many(daemon: str) -> None:
    found = run_to_end([sys.executable, "-P", "-m", "zactor", "spflooder", "-ro", "-wo"])
    assert found.returncode == 2
    assert "want one of them" in found.stderr

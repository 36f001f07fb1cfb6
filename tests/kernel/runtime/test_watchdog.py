"""An action that blocks the shared loop is named."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import structlog
from deadlines import DEADLINE_S

from zactor import Actor, action
from zactor.kernel.runtime import watchdog
from zactor.kernel.runtime.watchdog import Watchdog


class Blocker(Actor):
    @action
    def block(self, warned: threading.Event) -> bool:
        return warned.wait(DEADLINE_S)

    @action
    async def block_in_between(self, warned: threading.Event) -> bool:
        return warned.wait(DEADLINE_S)


class Logged:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.warned = threading.Event()
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})
        self.warned.set()


@pytest.mark.parametrize("name", ["block", "block_in_between"])
def test_an_action_that_blocks_the_shared_loop_is_named_once(
    world: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = Logged()
    monkeypatch.setattr(watchdog, "log", logged)
    dog = Watchdog(world.runtime.shared, warning_s=0.02)
    dog.start()
    ref = world.spawn(Blocker, "b1")
    assert getattr(ref, name)(logged.warned).result(DEADLINE_S)
    dog.close()
    (line,) = logged.lines
    assert (line["event"], line["actor"], line["action"]) == ("action_slow", "b1", name)
    assert "test_watchdog.py:" in line["where"]  # not in the lock that it waits for
    assert line["seconds"] >= 0.02


def test_an_action_that_blocks_inside_of_the_runtime_is_named_all_the_same(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaver(Actor):
        @action
        def leave(self) -> None:
            self.stop()  # needs the runtime's lock

    logged = Logged()
    monkeypatch.setattr(watchdog, "log", logged)
    ref = world.spawn(Leaver, "l")
    dog = Watchdog(world.runtime.shared, warning_s=0.02)
    dog.start()
    with world.runtime.lock:
        ref.leave.tell()
        assert logged.warned.wait(DEADLINE_S)
    dog.close()
    assert logged.lines[0]["action"] == "leave"


def test_a_loop_that_waits_is_not_blocked(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    class Patient(Actor):
        @action
        async def wait(self) -> None:
            await asyncio.sleep(0.1)

    logged = Logged()
    monkeypatch.setattr(watchdog, "log", logged)
    dog = Watchdog(world.runtime.shared, warning_s=0.02)
    dog.start()
    world.spawn(Patient, "p").wait().result(DEADLINE_S)
    dog.close()
    assert logged.lines == []


def test_the_log_is_structlogs() -> None:
    assert isinstance(watchdog.log, type(structlog.get_logger()))

"""Events of all nodes to one reader, on real processes, some of which die."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import join

from zactor import Actor, action, connect
from zactor.lab.lab import Lab, until


class Failing(Actor):
    @action
    def fail(self, text: str) -> None:
        raise ValueError(text)


@pytest.fixture
def lab(home: Path) -> Iterator[Lab]:
    made = Lab(home)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
def test_who_goes_on_at_another_node_misses_nothing_and_hears_nothing_twice(lab: Lab) -> None:
    names = {"n1", "n2", "n3"}
    for name in sorted(names):
        lab.start(name)
    until("they meet", lambda: all(lab.names_up(name) == names for name in names))
    heard: list[dict[str, object]] = []
    is_over = threading.Event()

    def follow() -> None:
        with connect(lab.endpoint("n1"), home=lab.home) as other:
            for event in other.events(follow=True):
                heard.append(event)
                if is_over.is_set():
                    return

    def failed() -> list[object]:
        return [row["error"] for row in list(heard) if row["event"] == "action_failed"]

    reader = threading.Thread(target=follow)
    reader.start()
    try:
        with connect(lab.endpoint("n2"), home=lab.home) as m:
            m.deploy_actor(Failing, "f3", "n3")
            m.ref("f3").fail.tell("before")
            until("it was heard", lambda: failed() == ["ValueError: before"])
            lab.kill("n1")
            until("that was heard", lambda: any(row.get("name") == "n1" for row in list(heard)))
            m.ref("f3").fail.tell("after")
            until("that too", lambda: failed()[-1] == "ValueError: after")
            lab.start("n1")
            m.wait("incarnation(n1, 2)")
            m.deploy_actor(Failing, "f1", "n1")
            m.ref("f1").fail.tell("again")
            until("of n1 too", lambda: failed()[-1] == "ValueError: again")
            is_over.set()
            m.tell("f1", "fail", "the last")
    finally:
        is_over.set()
        join(reader)
    numbers = [(row["node"], row["number"]) for row in heard]
    assert len(numbers) == len(set(numbers)), "nothing twice"
    assert failed()[:3] == ["ValueError: before", "ValueError: after", "ValueError: again"]

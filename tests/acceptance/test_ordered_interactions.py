"""Interactions and actors' rooms in group order, on three real nodes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from slow_marks import slow_after

from zactor import connect
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).parent / "ordered_actors.py"
NODES = ("n1", "n2", "n3")
HEARERS = {"n1": "h1", "n2": "h2", "n3": "h3"}
SIGNALS = 3_000
ROUNDS = 10


@contextmanager
def started(lab: Lab) -> Iterator[Any]:
    """Three nodes that know the actors; yields a master at n1."""
    for name in NODES:
        lab.start(name)
    until("all meet", lambda: lab.names_up("n1") == set(NODES))
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        for kind in ("teller", "hearer", "guest"):
            m.declare_factory(kind, ACTORS)
        yield m


def wire(m: Any, service: str) -> None:
    for node, hearer in HEARERS.items():
        m.deploy_actor("hearer", hearer, node)
    for number, node in enumerate(NODES[:2], 1):
        m.deploy_actor("teller", f"t{number}", node)
        for hearer in HEARERS.values():
            m.react_interaction(hearer, f"t{number}", "said", service=service)


def tell_both(m: Any, count: int) -> None:
    m.tell("t1", "burst", count)
    m.tell("t2", "burst", count)


def agree(heard: list[list[Any]]) -> bool:
    return all(log == heard[0] for log in heard)


@pytest.mark.parametrize("service", slow_after(1, ["agreed", "safe"]))
def test_all_reactors_hear_two_emitters_in_one_order(lab: Lab, service: str) -> None:
    with started(lab) as m:
        wire(m, service)
        hearers = [m.ref(name) for name in HEARERS.values()]
        for number in range(1, ROUNDS + 1):
            tell_both(m, SIGNALS // ROUNDS)
            # A round each: however slow the machine is, neither has sent all before the other.
            count = 2 * number * (SIGNALS // ROUNDS)
            until("all heard", lambda count=count: all(h.count() == count for h in hearers), 30)
        heard = [h.all() for h in hearers]
    assert agree(heard)
    for who in ("t1", "t2"):
        assert [number for name, number in heard[0] if name == who] == list(range(SIGNALS))
    switches = sum(
        1 for one, other in zip(heard[0], heard[0][1:], strict=False) if one[0] != other[0]
    )
    assert switches > 2, "the emitters took turns, so that there was an order to agree on"


@pytest.mark.slow
def test_survivors_agree_when_a_node_dies_in_the_middle(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZACTOR_TRACE", str(tmp_path / "trace"))
    with started(lab) as m:
        wire(m, "agreed")
        hearers = [m.ref(name) for name in ("h1", "h2")]
        for _ in range(ROUNDS):
            tell_both(m, SIGNALS // ROUNDS)
        until("it is under way", lambda: hearers[0].count() > 0)
        lab.kill("n3")
        until("all heard", lambda: all(h.count() == 2 * SIGNALS for h in hearers), 30)
        heard = [h.all() for h in hearers]
        # They may have heard all before they know that n3 is gone; only then letters are dead.
        left = {"n1", "n2"}
        until("n3 is gone", lambda: all(lab.names_up(at) == left for at in left))
        letters = [row for row in m.dead_letters() if row["target"] == "h3"]
    assert agree(heard)
    assert Counter(name for name, _ in heard[0]) == {"t1": SIGNALS, "t2": SIGNALS}
    assert all("n3" in row["reason"] or "h3" in row["reason"] for row in letters)
    events = traced(tmp_path / "trace")
    for hearer in ("h1", "h2"):
        assert len(events["accept", hearer]) == 2 * SIGNALS
        assert events["accept", hearer] == events["handle", hearer]
        assert not events["deadletter", hearer]
    assert max(events["handle", "h3"].values(), default=1) == 1
    assert sum(events["deadletter", "h3"].values()) == len(letters)


def traced(folder: Path) -> dict[tuple[str, str], Counter[str]]:
    """The ids of the signals in the event logs, by kind of event and target."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for file in folder.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            event = json.loads(line)
            if "sig" in event:
                found[event["k"], event["to"]][event["sig"]] += 1
    return found


def test_actors_in_a_room_see_the_same_messages_and_views_in_one_order(lab: Lab) -> None:
    with started(lab) as m:
        for number, node in enumerate(NODES, 1):
            m.deploy_actor("guest", f"g{number}", node)
        guests = [m.ref(f"g{number}") for number in (1, 2, 3)]
        for guest in guests:
            guest.say.tell(SIGNALS // 3)
        until("all heard", lambda: all(g.count() == SIGNALS for g in guests), 30)
        m.destroy_actor("g2")
        gone = ("disconnect", ("#g1#n1", "#g3#n3"))
        rest = [guests[0], guests[2]]
        until("g2 is gone", lambda: all(gone in map(tuple_of, g.all()) for g in rest))
        seen = [[tuple_of(event) for event in g.all()] for g in rest]
        m.deploy_actor("guest", "g2", "n2")
        back = ("join", ("#g1#n1", "#g2#n2", "#g3#n3"))
        until("g2 is back", lambda: all(tuple_of(g.all()[-1]) == back for g in rest))
        lab.kill("n2")
        lost = ("network", ("#g1#n1", "#g3#n3"))
        until("n2 is gone", lambda: all(tuple_of(g.all()[-1]) == lost for g in rest))
        ends = [[tuple_of(event) for event in g.all()[-2:]] for g in rest]
    both = seen[0].index(("join", ("#g1#n1", "#g2#n2", "#g3#n3")))
    assert seen[0][both:] == seen[1]
    assert ends == [[("trans",), lost]] * 2


def tuple_of(value: Any) -> Any:
    return tuple(map(tuple_of, value)) if isinstance(value, list | tuple) else value

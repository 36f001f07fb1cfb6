"""The event log of real nodes, folded by a checker that shares no code with them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from zactor import connect
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).parent / "actors.py"


def read(folder: Path) -> list[dict[str, Any]]:
    """Return all events of all lives, by time."""
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    return sorted((json.loads(line) for line in lines), key=lambda event: int(event["t"]))


def test_every_accepted_signal_is_handled_once_in_order_or_is_a_dead_letter(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "trace"
    monkeypatch.setenv("ZACTOR_TRACE", str(folder))
    for name in ("n1", "n2"):
        lab.start(name)
    until("both meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("source", ACTORS)
        m.declare_factory("sink", ACTORS)
        m.deploy_actor("source", "s1", "n1")
        for sink, node in (("here", "n1"), ("there", "n2")):
            m.deploy_actor("sink", sink, node)
            m.react_interaction(sink, "s1", "number")
        m.ask("s1", "burst", 500)
        until("all came", lambda: m.ask("there", "report")["count"] == 500)
        lab.freeze("n2")
        m.ask("s1", "burst", 20)
        lab.kill("n2")
        until("the rest is dead", lambda: len(m.dead_letters()) == 20)
    events = read(folder)
    accepted = Counter((e["sig"], e["to"]) for e in events if e["k"] == "accept")
    ended = Counter((e["sig"], e["to"]) for e in events if e["k"] in ("handle", "deadletter"))
    assert len(accepted) == 2 * 520
    assert accepted == ended
    for sink in ("here", "there"):
        sent = [e["sig"] for e in events if e["k"] == "accept" and e["to"] == sink]
        handled = [e["sig"] for e in events if e["k"] == "handle" and e["to"] == sink]
        assert handled == sent[: len(handled)], "in the order of sending"
    hashes: dict[tuple[int, int], set[str]] = {}
    for event in events:
        if event["k"] == "kb_apply":
            hashes.setdefault(tuple(event["clock"]), set()).add(event["hash"])
    assert hashes
    assert all(len(found) == 1 for found in hashes.values()), "one history"
    assert [e["q"] for e in events if e["k"] == "suspect"] == ["n2@1"]

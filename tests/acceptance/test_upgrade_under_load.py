"""Upgrades of an actor that hears 1,000 signals a second from each of two nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from zactor import connect
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).with_name("upgraded_actors.py")
UPGRADES = 3


@pytest.mark.parametrize("kind", ["SharedNoting", "ThreadNoting", "ProcessNoting"])
def test_no_signal_is_lost_or_handled_twice_or_overtakes_another(
    lab: Lab, tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "actors.py"
    source.write_text(ACTORS.read_text())
    lab.start("n1")
    lab.start("n2")
    until("both meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("Source", source)
        m.declare_factory(kind, source)
        target = m.deploy_actor(kind, "c", "n2")
        sources = {f"s{node}": m.deploy_actor("Source", f"s{node}", node) for node in ("n1", "n2")}
        for name in sources:
            m.react_interaction("c", name, "take")
        for ref in sources.values():
            ref.begin(1 if kind == "ProcessNoting" else 5)  # a busy machine must keep pace
        for version in range(1, UPGRADES + 1):
            source.write_text(ACTORS.read_text().replace("VERSION = 0", f"VERSION = {version}"))
            m.declare_factory(kind, source)
            before = target.count()[1]
            done = m.upgrade_actor("c")
            assert (done["changed"], done["remark"]) == (True, "")
            until("it hears", lambda before=before: target.count()[1] > before)
            assert target.count()[0] == version
        counts = {name: ref.end() for name, ref in sources.items()}
        until("all is heard", lambda: target.count()[1] >= sum(counts.values()))
        seen = target.all()
        for name, count in counts.items():
            assert [number for sender, number in seen if sender == name] == list(range(count))
        assert m.dead_letters() == []
        assert len([row for row in m.events() if row["event"] == "actor_upgraded"]) == UPGRADES

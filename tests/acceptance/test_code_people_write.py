"""What people's own modules do on nodes: their classes stay theirs, between nodes and programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from code_modules import APART, DISPLAY, MESSAGES, PROGRAM, SENSOR
from deadlines import DEADLINE_S

from zactor import BlockingCluster, BlockingMaster, RemoteActionError, ZactorError, local
from zactor.lab.lab import until

_SOURCES = {"messages": MESSAGES, "sensor": SENSOR, "display": DISPLAY, "apart": APART}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for name, text in _SOURCES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def cluster(sources: Path) -> Iterator[BlockingCluster]:
    with local(nodes=2) as running:
        m = running.master
        m.declare_factory("sensor", sources / "sensor.py")
        m.declare_factory("display", sources / "display.py")
        m.deploy_actor("sensor", "s", "n1")
        for node in ("n1", "n2"):
            m.deploy_actor("display", f"d_{node}", node)
            m.react_interaction(f"d_{node}", "s", "got")
        yield running


@pytest.fixture
def m(cluster: BlockingCluster) -> BlockingMaster:
    return cluster.master


def test_a_message_is_of_the_receivers_class_whichever_way_it_came(m: BlockingMaster) -> None:
    m.ask("s", "fire")
    m.ask("s", "spread")
    for node in ("n1", "n2"):
        m.ask(f"d_{node}", "pull", "s")
        until(f"all came to {node}", lambda node=node: len(m.ask(f"d_{node}", "last")) >= 3)
        assert m.ask(f"d_{node}", "last") == [True] * 3


def test_a_program_has_its_own_classes_or_stand_ins(
    m: BlockingMaster, cluster: BlockingCluster, sources: Path, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "messages.py").write_text(MESSAGES)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(cluster.home)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, "ZACTOR_HOME": str(cluster.home)},
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "True True",
        "[True, True, True]",
        "('int', 'any', 5, 2)",
        "True True",
        "True True",
    ]
    reading = m.ask("s", "read")
    assert repr(reading) == "Reading(value=1.0, level=Level(2))"
    assert m.ask("s", "same", reading) == [True, True, True]


def test_an_actor_in_a_process_of_its_own_has_the_same_classes(
    m: BlockingMaster, sources: Path
) -> None:
    m.declare_factory("apart", sources / "apart.py")
    m.deploy_actor("apart", "apart", "n1", data=bytes(2_000_000))
    assert m.ask("apart", "size") == 2_000_000
    assert m.ask("apart", "same", m.ask("s", "read")) == [True, True, True]
    before = len(m.ask("d_n2", "last"))  # type: ignore[arg-type]
    m.ask("d_n2", "pull", "apart")
    assert m.ask("d_n2", "last")[before:] == [True]  # type: ignore[index]


def test_an_actor_that_is_sent_says_so(m: BlockingMaster) -> None:
    for action in ("itself", "its_method", "its_closure"):
        with pytest.raises(RemoteActionError) as caught:
            m.ask("s", action)
        assert "an actor (Sensor) can't be sent: send self.ref(self.name)" in str(caught.value)


@pytest.mark.parametrize("node", ["n1", "n2"])
def test_a_program_passes_as_much_as_it_may_receive(m: BlockingMaster, node: str) -> None:
    m.deploy_actor("sensor", f"big_{node}", node)
    count = 20_000_000
    assert m.ask(f"big_{node}", "size", bytes(count)) == count
    assert len(m.ask(f"big_{node}", "big", count)) == count  # type: ignore[arg-type]
    m.tell(f"big_{node}", "size", bytes(3_000_000))
    m.deploy_actor("sensor", f"made_{node}", node, data=bytes(10_000_000))
    assert m.ask(f"made_{node}", "size") == 10_000_000
    with pytest.raises(ZactorError, match="the limit is"):
        m.ask(f"big_{node}", "size", bytes(300_000_000))

"""Labels, and nodes that are drained: actors move or stop in order, and are back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from zactor import connect
from zactor.cli.main import run
from zactor.client.blocking_master import BlockingMaster
from zactor.kernel.errors import NoSuchThing, Refused
from zactor.lab.lab import Lab, until

CODE = """
import time
from pathlib import Path
from zactor import Actor, action, signal

class Part(Actor):
    number = signal(int)
    def __init__(self, log: str = "", works_s: float = 0.0) -> None:
        self.log, self.works_s = log, works_s
    def on_stop(self, reason: str) -> None:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{self.name}\\n")
    @action
    async def work(self) -> None:
        import asyncio
        await asyncio.sleep(self.works_s)
    @action
    def take(self, value: int) -> None:
        pass
"""
HEAD = '[cluster]\nname = "lab"\n[factories]\npart = "code.py"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    (made / "code.py").write_text(CODE)
    return made


@pytest.fixture
def master(lab: Lab) -> Iterator[BlockingMaster]:
    lab.start("n1")
    lab.start("n2", "--label", "roof", "--label", "site=north")
    lab.start("n3", "--label", "site=south")
    names = {"n1", "n2", "n3"}
    for name in names:
        until(f"all meet at {name}", lambda name=name: lab.names_up(name) == names)
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        until("labels are known", lambda: len(labels(m)) == 2)
        yield m


def labels(m: BlockingMaster) -> dict[object, object]:
    return {row["name"]: row["labels"] for row in m.nodes() if row["labels"]}


def places(m: BlockingMaster) -> dict[str, tuple[str, str]]:
    return {str(row["name"]): (str(row["node"]), str(row["state"])) for row in m.actors()}


def shell(lab: Lab, *words: str, exits: int = 0) -> None:
    assert run([*words, "--home", str(lab.home)]) == exits, words


def apply(lab: Lab, folder: Path, text: str) -> str:
    (folder / "lab.toml").write_text(HEAD + text)
    shell(lab, "apply", str(folder / "lab.toml"), "--yes")
    return str(folder / "lab.toml")


def test_what_may_run_elsewhere_moves_and_the_rest_stops_in_order_until_it_is_resumed(
    lab: Lab, master: BlockingMaster, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    m, log = master, folder / "stopped"
    own = f'args = {{ log = "{log}" }}\n'
    file = apply(
        lab,
        folder,
        f'[actors.k1]\ntype = "part"\non = ["n2", "n3"]\n'
        f'[actors.k2]\ntype = "part"\non = "n2"\n{own}'
        f'[wires]\n"k1.number" = ["k2.take"]\n"k2.number" = ["k1.take hold 5"]\n',
    )
    m.declare_factory("part", folder / "code.py")
    m.deploy_actor("part", "h1", "n2", log=str(log))
    m.deploy_actor("part", "h2", "n2", log=str(log))
    capsys.readouterr()
    shell(lab, "drain", "n2")
    said = capsys.readouterr().out
    assert "moved    k1 to n3" in said
    assert [name for name in ("h1", "h2", "k2") if f"stopped  {name}" in said] == ["h1", "h2", "k2"]
    assert log.read_text().split() == ["h2", "h1", "k2"]  # the youngest first
    assert places(m) == {
        "k1": ("n3", "running"),
        **dict.fromkeys(("h1", "h2", "k2"), ("n2", "lost")),
    }
    assert [row["name"] for row in m.nodes() if row["drained"]] == ["n2"]
    assert {row["state"] for row in m.wires()} == {"down"}
    with pytest.raises(Refused, match="n2 is drained: `zactor resume n2`"):
        m.deploy_actor("part", "h3", "n2")
    shell(lab, "drain", "n2")  # it is
    shell(lab, "plan", file, exits=3)
    assert "back when n2 is there; node n2 is drained" in capsys.readouterr().out
    # it is one though all of them are started again
    for name in ("n1", "n2", "n3"):
        lab.kill(name)
    for name in ("n1", "n2", "n3"):
        lab.spawn(name)
    lab.wait_for(["n1", "n2", "n3"], 30.0)
    with connect(lab.endpoint("n3"), home=lab.home) as again:
        lives = ("n3", 2)
        until("n3 is new", lambda: lives in {(r["name"], r["incarnation"]) for r in again.nodes()})
        until("k1 is back", lambda: places(again).get("k1") == ("n3", "running"))
        assert places(again)["k2"] == ("n2", "lost")
        found = again.resume("n2")
        assert (found["back"], found["lost"]) == (["k2"], ["h1", "h2"])
        until("k2 is back", lambda: places(again)["k2"] == ("n2", "running"))
        until("its wires", lambda: {row["state"] for row in again.wires()} == {"up"})
        assert places(again)["k1"] == ("n3", "running")  # where it went it stays
        with pytest.raises(NoSuchThing, match="n2 isn't drained"):
            again.resume("n2")


def test_who_works_longer_than_the_deadline_stops_then(
    lab: Lab, master: BlockingMaster, folder: Path
) -> None:
    master.declare_factory("part", folder / "code.py")
    apply(
        lab,
        folder,
        '[actors.k1]\ntype = "part"\non = "n2"\ndrain = 1000\nargs = { works_s = 1000.0 }\n',
    )
    master.tell("k1", "work")
    found = master.drain("n2", deadline=0.2)
    assert found["actors"] == [{"name": "k1", "done": "stopped", "node": "n2"}]


def test_one_is_made_on_each_node_with_a_label_also_on_those_that_come_later(
    lab: Lab, master: BlockingMaster, folder: Path
) -> None:
    m = master
    assert labels(m) == {"n2": ["roof", "site=north"], "n3": ["site=south"]}
    cams = '[actors."cam-{node}"]\ntype = "part"\neach = "site"\n'
    wires = '[wires]\n"cam-{node}.number" = ["k1.take"]\n'
    text = f'{cams}[actors.k1]\ntype = "part"\non = "n1"\n{wires}'
    file = apply(lab, folder, text)
    running = {f"cam-{node}": (node, "running") for node in ("n2", "n3")}
    assert places(m) == {**running, "k1": ("n1", "running")}
    assert {row["emitter"] for row in m.wires()} == {"cam-n2", "cam-n3"}
    shell(lab, "plan", file)
    lab.start("n4", "--label", "site=east")
    until("n4 has its own", lambda: places(m).get("cam-n4") == ("n4", "running"))
    until("and its wire", lambda: "cam-n4" in {row["emitter"] for row in m.wires()})
    shell(lab, "plan", file)
    m.destroy_actor("cam-n3")  # by a person: it isn't fought over
    lab.kill("n2")
    until("n2's is lost", lambda: places(m).get("cam-n2") == ("n2", "lost"))
    lab.start("n2", "--label", "roof", "--label", "site=north")
    until("it is back", lambda: places(m).get("cam-n2") == ("n2", "running"))
    assert "cam-n3" not in places(m)
    shell(lab, "plan", file, exits=3)
    shell(lab, "apply", file, "--yes")
    assert places(m)["cam-n3"] == ("n3", "running")
    apply(lab, folder, text.replace('each = "site"', 'each = "site=north"'))
    until("only n2's", lambda: set(places(m)) == {"cam-n2", "k1"})

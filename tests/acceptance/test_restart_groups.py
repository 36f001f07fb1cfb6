"""Groups of actors that are restarted together, over nodes: in order, and failed together."""

from __future__ import annotations

from pathlib import Path

import pytest

from zactor import connect
from zactor.cli.main import run
from zactor.client.blocking_master import BlockingMaster
from zactor.lab.lab import Lab, until

CODE = """
from pathlib import Path
from zactor import Actor, action

class Part(Actor):
    def __init__(self, log: str) -> None:
        self.log = log
    def say(self, text: str) -> None:
        with Path(self.log).open("a") as file:
            file.write(f"{text}{self.name}\\n")
    def on_start(self) -> None:
        self.say("+")
    def on_stop(self, reason: str) -> None:
        self.say("-")
    @action
    def boom(self) -> None:
        raise ValueError("boom")
"""


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_a_group_restarts_together_in_order_and_fails_together(
    lab: Lab, tmp_path: Path, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("n1", "n2"):
        lab.start(name)
    until("all meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    folder = tmp_path / "work"
    folder.mkdir()
    log, file = folder / "log", folder / "lab.toml"
    (folder / "code.py").write_text(CODE)
    actors = "".join(
        f'[actors.{name}]\ntype = "part"\non = "{node}"\nargs = {{ log = "{log}" }}\n'
        for name, node in (("a", "n1"), ("b", "n2"), ("c", "n1"))
    )
    group = f'[groups.line]\nactors = ["a", "b", "c"]\nstrategy = "{strategy}"\n'
    file.write_text(
        f'[cluster]\nname = "lab"\n[factories]\npart = "code.py"\n{actors}{group}'
        'intensity = "2 in 60s"\n'
    )
    home = ("--home", str(lab.home))
    assert run(["apply", str(file), "--yes", *home]) == 0
    assert run(["plan", str(file), *home]) == 0
    affected = ["a", "b", "c"] if strategy == "one_for_all" else ["b", "c"]
    stops = ["-b", *(f"-{name}" for name in reversed(affected) if name != "b")]
    want = [*stops, *(f"+{name}" for name in affected)]
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        for count in (1, 2):
            log.write_text("")
            m.tell("b", "boom")
            until("all run", lambda: restarted(m, log, len(want)))
            assert log.read_text().split() == want, count
        m.tell("b", "boom")
        until("they have failed", lambda: states(m)["c"] == "failed")
        assert [name for name, state in states(m).items() if state == "failed"] == affected
        capsys.readouterr()
        assert run(["status", *home]) == 3
        said = capsys.readouterr().out
        assert "c failed: group line of lab: restarted 2 in 60s, then again: b failed" in said
        assert run(["apply", str(file), "--yes", *home]) == 0  # tries anew
        assert set(states(m).values()) == {"running"}


def states(m: BlockingMaster) -> dict[str, str]:
    return {str(row["name"]): str(row["state"]) for row in m.actors()}


def restarted(m: BlockingMaster, log: Path, lines: int) -> bool:
    return (
        len(log.read_text().split()) >= lines
        and states(m) == dict.fromkeys("abc", "running")
        and not [row for row in m.facts() if row["functor"] == "regroup"]
    )

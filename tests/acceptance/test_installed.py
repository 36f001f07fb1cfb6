"""`deploy --install`: actors get what their project asks for, by a real pip from real wheels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end

from zactor import BundleRefused, Refused, connect
from zactor.lab.lab import Lab, until

NODE_LIMIT_S = 90.0

READER = """
import os, subprocess, sys
from zactor import Actor, action, signal
import thermals

class Reader(Actor):
    read = signal(int)

    def __init__(self, start: int = 0):
        self.value = start

    @action
    def tell(self) -> list:
        self.read.emit(self.value)
        words = [sys.executable, "-c", "import thermals; print(thermals.VERSION)"]
        child = subprocess.run(words, capture_output=True, text=True).stdout.strip()
        script = subprocess.run(["thermal"], capture_output=True, text=True).stdout.strip()
        return [thermals.VERSION, child, script, os.getpid(), sys.prefix]

    @action
    def add(self, by: int) -> int:
        self.value += by
        return self.value

    def state(self) -> int:
        return self.value

    def restore(self, state: int) -> None:
        self.value = state
"""


def wheel(folder: Path, name: str, version: str) -> None:
    """A package as pip installs it, with a command `thermal`."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\ndef main(): print('script', VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\nthermal = {name}:main\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as out:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            out.writestr(path, text)


def project(folder: Path, requirements: str, source: str = READER) -> Path:
    folder.mkdir()
    (folder / "reader.py").write_text(source)
    (folder / "requirements.txt").write_text(requirements)
    return folder / "reader.py"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    wheel(folder, "thermals", "1.5")
    wheel(folder, "thermals", "2.5")
    return folder


@pytest.fixture
def n1(lab: Lab, wheels: Path) -> str:
    start(lab, wheels, "n1")
    return lab.endpoint("n1")


def start(lab: Lab, wheels: Path, name: str, *options: str) -> None:
    """A node whose pip knows the wheels, and no index."""
    lab.start(name, *options, env={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)})


def zactor(lab: Lab, at: str, *words: str) -> subprocess.CompletedProcess[str]:
    return run_to_end(
        [sys.executable, "-m", "zactor", *words, "--endpoint", at],
        env=os.environ | {"ZACTOR_HOME": str(lab.home)},
        timeout=NODE_LIMIT_S,
    )


def environments(lab: Lab, name: str = "n1") -> list[Path]:
    return sorted((lab.home / "environments" / name).glob("*.whole"))


def test_an_actor_has_what_its_project_asks_for_and_its_node_has_not(
    lab: Lab, n1: str, tmp_path: Path
) -> None:
    reader = project(tmp_path / "p", "thermals<2\n")
    with connect(n1, home=lab.home) as m:
        m.declare_factory("reader", str(reader))
        with pytest.raises(BundleRefused, match=r"imports thermals .*install it there"):
            m.deploy_actor("reader", "r1", "n1")
        done = zactor(
            lab, n1, "deploy", "reader", "r1", "n1", "--install", "--restart", "permanent"
        )
        assert done.returncode == 0, done.stderr
        ref = m.ref("r1")
        version, child, script, pid, prefix = ref.tell()
        assert (version, child, script) == ("1.5", "1.5", "script 1.5")
        assert Path(prefix).parent == lab.home / "environments" / "n1"
        # Its contract is known, though its class is loaded nowhere in the node.
        told = m.describe("r1")
        assert told["constructor"] == "Reader(start: int = 0)"
        assert not told["unreadable"]
        events = [row["event"] for row in m.events()]
        assert events.count("environment_begins") == events.count("environment_made") == 1
        assert ref.add(3) == 3
        # Another life of it, and of its node, has the same environment; pip isn't asked again.
        os.kill(pid, 9)
        until("another life", lambda: again(m, "r1") not in (0, pid))
        lab.kill("n1")
        (tmp_path / "wheels").rename(tmp_path / "gone")
        start(lab, tmp_path / "gone", "n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        until("it is back", lambda: again(m, "r1") != 0)
        assert m.ref("r1").tell()[0] == "1.5"
        assert len(environments(lab)) == 1
        assert m.query("installs(Name)") == [{"Name": "r1"}]
        m.destroy_actor("r1")
        assert m.query("installs(Name)") == []


def again(m: object, name: str) -> int:
    """The pid of an actor's process; 0: it isn't there now."""
    from zactor import ZactorError

    try:
        return int(m.ask(name, "tell", timeout=5)[3])  # type: ignore[attr-defined]
    except ZactorError:
        return 0


def test_two_at_once_have_one_environment_and_other_requirements_another(
    lab: Lab, n1: str, tmp_path: Path
) -> None:
    with connect(n1, home=lab.home) as m:
        m.declare_factory("reader", str(project(tmp_path / "p", "thermals==1.5\n")))
        with ThreadPoolExecutor(3) as threads:
            options = {"install": True}
            each = [
                threads.submit(m.deploy_with, "reader", name, "n1", {}, **options)
                for name in ("a1", "a2", "a3")
            ]
            for future in each:
                future.result(NODE_LIMIT_S)
        prefixes = {m.ask(name, "tell")[4] for name in ("a1", "a2", "a3")}
        assert len(prefixes) == 1
        assert len(environments(lab)) == 1
        m.declare_factory("reader", str(project(tmp_path / "q", "thermals==2.5\n")))
        m.deploy_with("reader", "b1", "n1", {"start": 5}, install=True)
        assert m.ask("b1", "tell")[0] == "2.5"
        assert m.ask("b1", "add", 1) == 6
        # Newer code with newer requirements, and what the actor knew.
        assert m.ask("a1", "add", 2) == 2
        m.upgrade_actor("a1")
        assert m.ask("a1", "tell")[0] == "2.5"
        assert m.ask("a1", "add", 1) == 3
        assert len(environments(lab)) == 2


def test_it_moves_to_a_node_that_installs_and_stays_where_the_other_does_not(
    lab: Lab, n1: str, wheels: Path, tmp_path: Path
) -> None:
    start(lab, wheels, "n2")
    start(lab, wheels, "n3", "--no-install")
    with connect(n1, home=lab.home) as m:
        until("all are there", lambda: {"n2", "n3"} <= lab.names_up("n1"))
        m.declare_factory("reader", str(project(tmp_path / "p", "thermals\n")))
        m.deploy_with("reader", "r1", "n1", {"start": 4}, install=True)
        with pytest.raises(Refused, match="n3 was started with --no-install"):
            m.deploy_with("reader", "r2", "n3", {}, install=True)
        with pytest.raises(Refused, match="n3 was started with --no-install"):
            m.move_actor("r1", "n3")
        assert m.move_actor("r1", "n2")["changed"]
        assert m.ask("r1", "add", 1) == 5
        assert str(lab.home / "environments" / "n2") in m.ask("r1", "tell")[4]


def test_what_can_not_be_installed_is_one_error_with_pips_last_lines(
    lab: Lab, n1: str, tmp_path: Path
) -> None:
    with connect(n1, home=lab.home) as m:
        m.declare_factory("reader", str(project(tmp_path / "p", "thermals>=3\n")))
        done = zactor(lab, n1, "deploy", "reader", "r1", "n1", "--install")
        assert done.returncode == 6, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "thermals>=3 can't be installed on n1: " in done.stderr
        assert "No matching distribution found for thermals>=3" in done.stderr
        assert m.actors() == []
        events = [row for row in m.events() if row["event"] == "environment_failed"]
        assert len(events) == 1
        # What zactor itself needs is not to be replaced by something that it can't run with.
        wheel(tmp_path / "wheels", "msgspec", "0.1")
        m.declare_factory("reader", str(project(tmp_path / "z", "thermals\nmsgspec==0.1\n")))
        with pytest.raises(BundleRefused, match=r"\(constraint\) msgspec"):
            m.deploy_with("reader", "r1", "n1", {}, install=True)
        # An import that nobody asks for.
        source = READER.replace("import thermals\n", "import thermals, humids\n", 1)
        m.declare_factory("reader", str(project(tmp_path / "h", "thermals\n", source)))
        with pytest.raises(BundleRefused, match=r"with thermals installed: .*imports humids"):
            m.deploy_with("reader", "r1", "n1", {}, install=True)
        m.declare_factory("reader", str(project(tmp_path / "e", "# nothing\n")))
        with pytest.raises(BundleRefused, match="nothing says what reader needs"):
            m.deploy_with("reader", "r1", "n1", {}, install=True)
        assert m.actors() == []
        assert len(environments(lab)) == 1


def test_a_node_that_dies_while_it_installs_begins_anew(
    lab: Lab, wheels: Path, tmp_path: Path
) -> None:
    start(lab, wheels, "n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("reader", str(project(tmp_path / "p", "thermals\n")))
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(m.deploy_with, "reader", "r1", "n1", {}, install=True)
            folder = lab.home / "environments" / "n1"
            until("it has begun", lambda: any(folder.glob("*/pyvenv.cfg")))
            lab.kill("n1")
            assert waiting.exception(DEADLINE_S) is not None
    assert environments(lab) == []
    start(lab, wheels, "n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        until("its knowledge is back", lambda: bool(m.factories() and lab.names_up("n1")))
        m.deploy_with("reader", "r2", "n1", {}, install=True)
        assert m.ask("r2", "tell")[0] == "2.5"
    assert json.loads(environments(lab)[0].read_text()) == ["thermals"]

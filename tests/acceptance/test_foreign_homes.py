"""A home that another user owns or may change: nodes refuse it, and write through no link there."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from deadlines import DEADLINE_S, running
from rude_clients import demand

from zactor.kernel.transport.private_files import check_home
from zactor.lab.lab import until
from zactor.supervisor.membership.run_directory import RunEntry, process_start, read_entries

OTHER = next((user for user in pwd.getpwall() if user.pw_name == "nobody"), None)
PRECIOUS = "precious"
REFUSED = 2  # the exit code of what is set up wrong

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or OTHER is None, reason="only root can lay files for another user"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the home will be, beside a file of ours."""
    (tmp_path / "precious").write_text(PRECIOUS)
    return tmp_path


def lay(folder: Path, name: str, is_others: bool) -> Path:
    """Make a folder of the home, and the home: of the other user, or for everybody to write."""
    made = folder / "home" / name
    made.mkdir(parents=True)
    for path in [made, *made.parents]:
        if not path.is_relative_to(folder / "home"):
            break
        if path is made or is_others:
            path.chmod(0o777)
        if is_others:
            give(path)
    return made


def give(path: Path) -> None:
    assert OTHER is not None
    os.chown(path, OTHER.pw_uid, OTHER.pw_gid, follow_symlinks=False)


def lay_link(folder: Path, name: str, file: str) -> Path:
    """Lay a folder of the other user with a link of his to the file of ours."""
    made = lay(folder, name, is_others=True)
    link = made / file
    link.symlink_to(folder / "precious")
    give(link)
    return made


def run_node(folder: Path) -> subprocess.CompletedProcess[str]:
    """Start a node and return how it ended; fail if it runs instead."""
    home = folder / "home"
    command = [sys.executable, "-P", "-m", "zactor.supervisor", "--name", "n1", "--home", home]
    with running(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as node:
        is_there = False

        def is_over() -> bool:
            nonlocal is_there
            is_there = any(entry.pid == node.pid for entry in read_entries(home))
            return is_there or node.poll() is not None

        until("it runs or ends", is_over)
        demand(not is_there, "it starts")
        _, said = node.communicate(timeout=DEADLINE_S)
    return subprocess.CompletedProcess(command, node.returncode, "", said)


def demand_refusal(done: subprocess.CompletedProcess[str], path: Path) -> None:
    demand(done.returncode == REFUSED, f"it ends with {done.returncode}: {done.stderr}")
    demand(str(path) in done.stderr, f"it doesn't say which folder: {done.stderr}")


@pytest.mark.parametrize("is_others", [True, False], ids=["of another", "for all to write"])
@pytest.mark.parametrize("name", ["", "run", "state", "state/n1", "state/n1/bundles", "log"])
def test_a_node_refuses_a_folder_that_others_can_change(
    folder: Path, name: str, is_others: bool
) -> None:
    made = lay(folder, name, is_others)
    # Where all are another's the first that is looked at may be named.
    demand_refusal(run_node(folder), folder / "home" if is_others else made)


def test_a_node_empties_no_file_through_a_link_for_its_lock(folder: Path) -> None:
    lay_link(folder, "state/n1", "lock")
    done = run_node(folder)
    text = (folder / "precious").read_text()
    demand(text == PRECIOUS, f"a file of ours has {text!r}")
    demand_refusal(done, folder / "home")


def adopt(home: Path) -> None:
    """Do what refusals advise: the folders are ours again; nobody looks at what lies in them."""
    for path in [home, *(path for path in home.rglob("*") if path.is_dir())]:
        os.chown(path, os.geteuid(), os.getegid())
        path.chmod(0o700)


@pytest.mark.parametrize("file", ["lock", "kb.sqlite", "incarnation", "bundles/deep"])
def test_a_link_that_was_laid_while_the_folder_was_open_is_found(folder: Path, file: str) -> None:
    lay_link(folder, str(Path("state/n1", file).parent), Path(file).name)
    adopt(folder / "home")
    done = run_node(folder)
    text = (folder / "precious").read_text()
    demand(text == PRECIOUS, f"a file of ours has {text!r}")
    demand_refusal(done, folder / "home" / "state" / "n1" / file)


def test_a_hard_link_for_the_lock_is_found(folder: Path) -> None:
    made = lay(folder, "state/n1", is_others=True)
    (made / "lock").hardlink_to(folder / "precious")
    adopt(folder / "home")
    demand_refusal(run_node(folder), made / "lock")
    assert (folder / "precious").read_text() == PRECIOUS


def test_a_pipe_for_the_lock_holds_nobody_up(folder: Path) -> None:
    made = lay(folder, "state/n1", is_others=False)
    made.chmod(0o700)
    os.mkfifo(made / "lock")
    demand_refusal(run_node(folder), made / "lock")


@pytest.mark.parametrize("name", ["run", "state", "log", "state/n1"])
def test_a_link_in_the_place_of_a_folder_is_refused(folder: Path, name: str) -> None:
    link = folder / "home" / name
    link.parent.mkdir(parents=True)
    (folder / "elsewhere").mkdir()
    link.symlink_to(folder / "elsewhere")
    demand_refusal(run_node(folder), link)
    assert not list((folder / "elsewhere").iterdir())


def test_a_link_of_another_for_the_home_is_refused_and_our_own_is_followed(folder: Path) -> None:
    (folder / "elsewhere").mkdir(mode=0o700)
    home = folder / "home"
    home.symlink_to(folder / "elsewhere")
    check_home(home)
    give(home)
    demand_refusal(run_node(folder), home)


def test_what_another_wrote_of_nodes_that_run_is_not_believed(folder: Path) -> None:
    """Else `zactor down` would end whatever process he names."""
    made = lay(folder, "run", is_others=True)
    with running([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        entry = RunEntry(
            name="n1",
            role="node",
            endpoint="tcp://127.0.0.1:4810",
            pid=bystander.pid,
            started=process_start(bystander.pid),
        )
        (made / "1.json").write_bytes(msgspec.json.encode(entry))
        give(made / "1.json")
        zactor = [sys.executable, "-m", "zactor", "--home", folder / "home"]
        down = subprocess.run(
            [*zactor, "down"], capture_output=True, text=True, timeout=60, check=False
        )
        demand_refusal(down, folder / "home")
        assert read_entries(folder / "home") == []
        adopt(folder / "home")
        assert read_entries(folder / "home") == []
        assert bystander.poll() is None


@pytest.mark.parametrize(
    "command", [["keys", "init"], ["master", "-c", "nodes"], ["status"]], ids=" ".join
)
def test_no_command_uses_a_home_that_others_can_change(folder: Path, command: list[str]) -> None:
    lay(folder, "", is_others=False)
    zactor = [sys.executable, "-m", "zactor", "--home", folder / "home", *command]
    done = subprocess.run(zactor, capture_output=True, text=True, timeout=60, check=False)
    demand_refusal(done, folder / "home")


def test_a_cluster_writes_to_no_file_through_a_link_for_its_log(folder: Path) -> None:
    lay_link(folder, "log", "n1.log")
    zactor = [sys.executable, "-m", "zactor", "--home", folder / "home"]
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    up = [*zactor, "up", "-n", "1", "--detach"]
    done = run(up, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 0:
        run([*zactor, "down"], capture_output=True, timeout=60, check=True)
    text = (folder / "precious").read_text()
    demand(text == PRECIOUS, f"a file of ours has {text[:80]!r}")
    demand_refusal(done, folder / "home")

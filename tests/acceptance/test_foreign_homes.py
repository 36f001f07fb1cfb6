"""A home that another user owns or may change: nodes refuse it, and write through no link there."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, running
from rude_clients import Unmet, demand

from zactor.lab.lab import until
from zactor.supervisor.membership.run_directory import read_entries

OTHER = next((user for user in pwd.getpwall() if user.pw_name == "nobody"), None)
PRECIOUS = "precious"
REFUSED = 2  # the exit code of what is set up wrong

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or OTHER is None, reason="only root can lay files for another user"
    ),
    pytest.mark.xfail(
        strict=True,
        raises=Unmet,
        reason="of a home only keys/ and, later, state/NAME are looked at",
    ),
]


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
    """Start a node and return how it ended; Unmet if it runs instead."""
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
@pytest.mark.parametrize("name", ["", "run", "state"])
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

"""The guide's lab, typed into terminals by a user without rights, on hosts with its addresses."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end
from typed_guide import blocks, typed_terminal

from zactor.lab.lab import until
from zactor.lab.namespaces import Network, why_not

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "spread.md"
CONF = re.search(r"```conf\n(.*?)```", GUIDE.read_text(), re.S)
NOBODY = 65_534
NO_RIGHTS = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder where other users may go: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="zactor-lab-", dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def net() -> Iterator[Network]:
    if why := why_not():
        pytest.skip(why)
    made = Network()
    yield made
    made.close()


def own_tmp(folder: Path) -> list[str]:
    """Return words that run a command with a /tmp of its own host, where its daemon's socket is.

    What is needed of the real one, if this project lies there, is in it too.
    """
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    needed = {
        path.parts[2]
        for path in (Path(sys.prefix), Path(sys.executable).resolve(), GUIDE)
        if path.parts[1] == "tmp"
    }
    binds = []
    for name in needed:
        (folder / name).mkdir()
        binds.append(f"mount --bind /tmp/{name} {folder}/{name}")
    script = " && ".join([*binds, f"mount --rbind {folder} /tmp", 'exec "$@"'])
    return ["sh", "-c", script, "sh"]


def without_rights() -> tuple[int, list[str]]:
    """Return an ordinary user and the words that run a command as it.

    Where nobody else can run this Python it is us, without any right but to our own files.
    """
    if shutil.which("setpriv") is None:
        pytest.skip("util-linux is not installed")
    other = [*NO_RIGHTS, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = run_to_end([*other, "sh", "-c", f"{sys.executable} -c ''"])
    return (os.getuid(), NO_RIGHTS) if done.returncode else (NOBODY, other)


def test_the_lab_of_the_guide_works_as_it_is_typed(net: Network, folder: Path) -> None:
    assert CONF is not None
    addresses = dict(re.findall(r"ubuntuC-(node\d) ([\d.]+)", CONF.group(1)))
    assert len(addresses) == 3
    owner, rights = without_rights()
    with contextlib.ExitStack() as stack:
        prefixes, environments = {}, {}
        for node, address in addresses.items():
            net.bare_host(node)
            net.cable(node, 0, f"{address}/24")
            here = folder / node / "SPREAD"
            here.mkdir(parents=True)
            (here / "spread.conf").write_text(CONF.group(1))
            for each in (here.parent, here):
                os.chown(each, owner, owner)
            prefixes[node] = [*net.prefix(node), *own_tmp(folder / f"tmp-{node}"), *rights]
            environments[node] = {
                "HOME": str(here.parent),
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "PYTHONDONTWRITEBYTECODE": "1",
                "LANG": "C.UTF-8",
            }

        def run(node: str, *words: str) -> str:
            done = run_to_end(
                [*prefixes[node], "zactor", *words],
                cwd=folder / node / "SPREAD",
                env=environments[node],
            )
            assert not done.stderr
            return done.stdout

        (token,) = re.findall(r"zactor keys join (\S+)", run("node1", "spread", "init"))
        run("node2", "keys", "join", token)

        def play(block: list[str]) -> None:
            node = block[0].partition("$")[0]
            here = folder / node / "SPREAD"
            terminal = typed_terminal(prefixes[node], here, environments[node])
            stack.enter_context(terminal).play(block)

        for block in blocks(GUIDE, "Activity 2"):
            play(block)
        until(
            "they meet",
            lambda: (
                "2  procs, leader is ubuntuC-node1: ubuntuC-node1 ubuntuC-node2"
                in run("node1", "spmonitor", "status")
            ),
            60,
        )
        talks = blocks(GUIDE, "Activity 3")
        assert len(talks) == 2
        for block in talks:
            play(block)

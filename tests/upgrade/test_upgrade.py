"""The home of a cluster of a version before: its nodes start with the present code and go on.

make_home.py made it. Both nodes died in a destruction, so a clause waits to be carried out. Actors
live as long as the process that hosts them, so they are looked for in the history, and deployed
again by what is on the disk: the old bundles and the old constructor arguments, byte for byte.
"""

from __future__ import annotations

import base64
import stat
import sys
import tarfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zactor import BlockingCluster, local
from zactor.kernel.messages.operations import DeployActor
from zactor.kernel.wire import payload
from zactor.lab.lab import until

HERE = Path(__file__).parent
DEADLINE_S = 30.0

TOLD: dict[str, list[object]] = {
    "c0": [0, "fifo", "None", "", "None"],
    "c1": [5, "fifo", "None", "", "None"],
    "c2": [0, "agreed", "None", "", "None"],
    "c3": [0, "fifo", "<Ref c0>", "", "None"],
    "c4": [0, "fifo", "None", "a class of my own", "None"],
    "c5": [7, "fifo", "None", "", "NoSuchThing('what was lost')"],
    "leaving": [100, "safe", "None", "", "None"],
    "g0": ["unit 0", -1],
    "g1": ["unit 1", -1],
    "g2": ["unit 2", -1],
}
"""What each actor answers that has the arguments with which it was deployed."""


@pytest.fixture(
    # Code in a pickle is of one Python's minor version: each has an archive of its own.
    params=sorted(HERE.glob("home-*-py{}.{}.tar.gz".format(*sys.version_info))),
    ids=lambda file: file.name.removesuffix(".tar.gz"),
)
def old_home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The home of an old cluster, as it lay on the disk when its nodes had died."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="tar")
    return tmp_path / "home"


def clock_of(row: Any) -> str:
    return ".".join(map(str, row["clock"]))


def arguments_of(facts: list[Any], functor: str) -> list[list[str]]:
    return [row["args"] for row in facts if row["functor"] == functor]


def stored_arguments(text: str) -> bytes:
    """The payload of a `spec` fact as it is on the disk: nothing is unpickled here."""
    if text.startswith("pickle:"):
        return base64.b64decode(text.removeprefix("pickle:"))
    encoded = payload.encode((), msgspec.json.decode(text, type=dict[str, Any]), "data")
    assert isinstance(encoded, bytes)
    return encoded


def deploy_again(cluster: BlockingCluster, name: str, type: str, arguments: str) -> None:
    """Deploy an actor from the factory on the disk, with the arguments on the disk."""
    operation = DeployActor(type=type, name=name, node="n1", arguments=stored_arguments(arguments))
    cluster.master.connection.request(operation).result(DEADLINE_S)


def test_keys_and_states_are_for_their_owner_only_after_unpacking(old_home: Path) -> None:
    modes = {
        str(path.relative_to(old_home)): stat.S_IMODE(path.stat().st_mode)
        for path in old_home.rglob("*")
    }
    secret = [name for name in modes if name.endswith((".key", ".sqlite", ".bundle"))]
    assert len(secret) == 1 + 2 * (2 + 2)
    assert {modes[name] for name in secret} == {0o600}
    assert {modes[name] for name in ("keys", "state/n1", "state/m1")} == {0o700}


def test_an_old_home_starts_with_all_that_was_in_it(old_home: Path) -> None:
    with local(1, home=old_home) as cluster:
        m = cluster.master
        assert {row["type"] for row in m.factories()} == {"counter", "gauge"}
        until("nothing is left to do", lambda: not m.query("todo(_, _, _, _)"), DEADLINE_S)
        log = m.log()
        written = [row for row in log if "todo(" in str(row["asserted"])]
        done = [row for row in log if "todo(" in str(row["retracted"])]
        assert len(written) == len(done) == 1
        assert "destroy_actor(leaving)" in str(written[0]["asserted"])
        assert str(done[0]["why"]).endswith(": done"), "carried out, not dropped"
        assert {row["state"] for row in m.actors()} == {"lost"}, "they died with the old processes"

        then = m.facts(at=clock_of(written[0]))
        assert {str(row["fact"]) for row in then if row["functor"] == "reacts"} == {
            "reacts(g0,c1,updateVal,fifo)",
            "reacts(g1,leaving,updateVal,fifo)",
        }
        types = {name: type for name, type, _ in arguments_of(then, "actor")}
        assert set(types) == set(TOLD)
        for name, _bundle, arguments, _deployment in arguments_of(then, "spec"):
            deploy_again(cluster, name, types[name], arguments)
            assert m.ask(name, "told") == TOLD[name], name
        assert {row["name"]: row["state"] for row in m.actors()} == dict.fromkeys(TOLD, "running")

        m.react_interaction("g0", "c1", "updateVal")
        assert m.ask("c1", "inc") == 6
        until("the signal arrives", lambda: m.ask("g0", "told") == ["unit 0", 6], DEADLINE_S)

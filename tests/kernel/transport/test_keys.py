from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from deadlines import DEADLINE_S, run_to_end, running

from zactor.kernel.errors import ConfigError, NoSuchThing, Refused
from zactor.kernel.transport import keys


def cluster_file(home: Path) -> Path:
    return home / "keys" / "cluster.key"


def test_the_first_call_makes_the_keys_and_the_next_finds_them(tmp_path: Path) -> None:
    first = keys.cluster_keys(tmp_path / "home")
    assert keys.cluster_keys(tmp_path / "home") == first
    assert keys.cluster_keys(tmp_path / "other").cluster != first.cluster


def test_folder_and_file_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.cluster_keys(tmp_path / "home")
    finally:
        os.umask(before)
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / "keys").stat().st_mode & 0o777 == 0o700
    assert cluster_file(tmp_path / "home").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "home" / "keys") == ["cluster.key"]


def test_server_and_door_are_two_valid_curve_pairs(tmp_path: Path) -> None:
    made = keys.cluster_keys(tmp_path)
    pairs = [made.server, made.door, keys.node_keys(tmp_path / "state")]
    assert all(zmq.curve_public(pair.secret) == pair.public for pair in pairs)
    assert len({pair.secret for pair in pairs}) == 3


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from zactor.kernel.transport import keys\n"
        "sys.stdin.readline()\n"
        "print(keys.cluster_keys(Path(sys.argv[1])).cluster)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    pipe = subprocess.PIPE
    with contextlib.ExitStack() as stack:
        starters = [
            stack.enter_context(running(command, stdin=pipe, stdout=pipe, text=True))
            for _ in range(4)
        ]
        for starter in starters:
            assert starter.stdin is not None
            starter.stdin.write("go\n")
            starter.stdin.flush()
        found = {starter.communicate(timeout=DEADLINE_S)[0].strip() for starter in starters}
    assert found == {keys.cluster_keys(tmp_path / "home").cluster}
    assert os.listdir(tmp_path / "home" / "keys") == ["cluster.key"]


def test_importing_the_module_loads_no_zmq() -> None:
    code = "import sys, zactor.kernel.transport.keys; sys.exit('zmq' in sys.modules)"
    assert run_to_end([sys.executable, "-c", code]).returncode == 0


# -- tokens ----------------------------------------------------------------------------------
def test_a_token_makes_another_home_part_of_the_cluster(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    token = keys.token(here)
    assert "\n" not in token
    assert keys.join(there, token) == keys.cluster_keys(here).cluster
    assert keys.cluster_keys(there) == keys.cluster_keys(here)


def test_joining_the_same_cluster_twice_changes_nothing(tmp_path: Path) -> None:
    token = keys.token(tmp_path)
    assert keys.join(tmp_path, f"  {token}\n") == keys.cluster_keys(tmp_path).cluster


def test_a_home_of_another_cluster_is_refused_and_kept(tmp_path: Path) -> None:
    here = keys.cluster_keys(tmp_path / "here")
    token = keys.token(tmp_path / "there")
    with pytest.raises(Refused, match="--home") as refusal:
        keys.join(tmp_path / "here", token)
    assert "remove" in str(refusal.value)
    assert token not in str(refusal.value)
    assert keys.cluster_keys(tmp_path / "here") == here


def test_every_mistyped_token_is_found_out(tmp_path: Path) -> None:
    token = keys.token(tmp_path / "there")
    typos = [(at, typo) for at in range(len(token)) for typo in "ab2"]
    typos += [(len(token) - 1, typo) for typo in "abcdefghijklmnopqrstuvwxyz234567"]
    for at, typo in typos:
        wrong = token[:at] + typo + token[at + 1 :]
        if wrong == token:
            continue
        with pytest.raises(ConfigError) as error:
            keys.join(tmp_path / "here", wrong)
        assert wrong not in str(error.value), "a token is a secret, also a mistyped one"
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    "wrong",
    ["", "zactor1-", "zactor2-abc", "hello", "zactor1-ä", "zactor1-" + "a" * 9999, "-" * 64],
)
def test_what_is_no_token_is_a_wrong_setting(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match="zactor keys token"):
        keys.join(tmp_path, wrong)


# -- S18: who may touch the files ------------------------------------------------------------
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o666])
def test_a_key_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    keys.cluster_keys(tmp_path)
    cluster_file(tmp_path).chmod(mode)
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}.*chmod 600 .*cluster\.key"):
        keys.cluster_keys(tmp_path)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_key_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    keys.cluster_keys(tmp_path)
    (tmp_path / "keys").chmod(mode)
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}.*chmod 700 .*keys"):
        keys.cluster_keys(tmp_path)


def test_a_state_folder_may_be_looked_into_but_not_changed_by_others(tmp_path: Path) -> None:
    state = tmp_path / "state" / "n1"
    made = keys.node_keys(state)
    state.chmod(0o755)
    assert keys.node_keys(state) == made
    state.chmod(0o775)
    with pytest.raises(ConfigError, match="chmod 700"):
        keys.node_keys(state)


def test_a_symbolic_link_is_never_followed(tmp_path: Path) -> None:
    keys.cluster_keys(tmp_path / "real")
    (tmp_path / "a" / "keys").mkdir(parents=True, mode=0o700)
    cluster_file(tmp_path / "a").symlink_to(cluster_file(tmp_path / "real"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "keys").symlink_to(tmp_path / "real" / "keys")
    for home in (tmp_path / "a", tmp_path / "b"):
        with pytest.raises(ConfigError, match="symbolic link"):
            keys.cluster_keys(home)


def test_a_link_to_nowhere_makes_no_file_there(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    cluster_file(tmp_path).symlink_to(tmp_path / "bait")
    with pytest.raises(ConfigError, match="symbolic link"):
        keys.cluster_keys(tmp_path)
    assert not (tmp_path / "bait").exists()


def test_a_fifo_in_the_keys_place_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    os.mkfifo(cluster_file(tmp_path), 0o600)
    with pytest.raises(ConfigError, match="no file"):
        keys.cluster_keys(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("find", [cluster_file, lambda home: home / "keys"])
def test_a_foreign_owner_is_refused(tmp_path: Path, find: Callable[[Path], Path]) -> None:
    keys.cluster_keys(tmp_path)
    os.chown(find(tmp_path), 12_345, -1)
    with pytest.raises(ConfigError, match="user 12345"):
        keys.cluster_keys(tmp_path)


@pytest.mark.parametrize("content", [b"", b"zactor1-", b"\xff" * 100, b"a" * 10_000])
def test_a_damaged_key_is_told_and_kept(tmp_path: Path, content: bytes) -> None:
    keys.cluster_keys(tmp_path)
    cluster_file(tmp_path).write_bytes(content)
    with pytest.raises(ConfigError, match="holds no key"):
        keys.cluster_keys(tmp_path)
    assert cluster_file(tmp_path).read_bytes() == content


def test_a_nodes_key_is_no_clusters_key(tmp_path: Path) -> None:
    keys.node_keys(tmp_path / "keys")
    (tmp_path / "keys" / "node.key").rename(cluster_file(tmp_path))
    with pytest.raises(ConfigError, match="holds no key"):
        keys.cluster_keys(tmp_path)


# -- S20: what is shown ----------------------------------------------------------------------
def test_no_secret_in_any_text(tmp_path: Path) -> None:
    made, node = keys.cluster_keys(tmp_path), keys.node_keys(tmp_path / "state")
    shown = f"{made!r} {made} {node!r} {made.server} {keys.describe(tmp_path)}"
    for pair in (made.server, made.door, node):
        assert pair.secret.decode() not in shown
        assert repr(pair.secret) not in shown
    assert keys.token(tmp_path).partition("-")[2] not in shown


def test_describe_makes_no_keys(tmp_path: Path) -> None:
    with pytest.raises(NoSuchThing, match="zactor keys init"):
        keys.describe(tmp_path / "home")
    assert not (tmp_path / "home").exists()
    made = keys.cluster_keys(tmp_path / "home")
    assert keys.describe(tmp_path / "home")["cluster"] == made.cluster


def test_a_fingerprint_is_short_and_the_same_for_text_and_bytes() -> None:
    assert keys.fingerprint(b"public") == keys.fingerprint("public")
    assert keys.fingerprint(b"public") != keys.fingerprint(b"other")
    assert len(keys.fingerprint(b"public")) == 16

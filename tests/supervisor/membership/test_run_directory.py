"""run/: who is there, who is stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deadlines import running

from zactor.supervisor.membership.run_directory import (
    RunEntry,
    process_start,
    read_entries,
    write_entry,
)


def entry(name: str, pid: int, port: int, *, role: str = "node", started: str = "") -> RunEntry:
    return RunEntry(
        name=name,
        role=role,
        endpoint=f"tcp://127.0.0.1:{port}",
        pid=pid,
        started=started or process_start(pid),
    )


def test_what_was_written_is_read_masters_last(tmp_path: Path) -> None:
    here = os.getpid()
    for one in (entry("m1", here, 1, role="master"), entry("n2", here, 2), entry("n1", here, 3)):
        write_entry(tmp_path, one)
    assert [found.name for found in read_entries(tmp_path)] == ["n1", "n2", "m1"]


def test_the_file_of_a_dead_process_is_swept(tmp_path: Path) -> None:
    with running([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        file = write_entry(tmp_path, entry("n1", child.pid, 1))
        assert [found.name for found in read_entries(tmp_path)] == ["n1"]
        child.kill()
    assert read_entries(tmp_path) == []
    assert not file.exists()


def test_a_pid_that_belongs_to_another_process_now_is_stale(tmp_path: Path) -> None:
    file = write_entry(tmp_path, entry("n1", os.getpid(), 1, started="12345"))
    assert read_entries(tmp_path) == []
    assert not file.exists()


def test_garbage_in_the_folder_is_swept_and_loses_nothing(tmp_path: Path) -> None:
    write_entry(tmp_path, entry("n1", os.getpid(), 1))
    (tmp_path / "run" / "0-1.json").write_text("{not json")
    assert [found.name for found in read_entries(tmp_path)] == ["n1"]
    assert not (tmp_path / "run" / "0-1.json").exists()


def test_a_home_without_run_has_no_nodes(tmp_path: Path) -> None:
    assert read_entries(tmp_path) == []

"""A loop that was stuck finds its heartbeats, and its process, as they should be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("stuck_reader.py")
DOOR = Path(__file__).with_name("stuck_door.py")


def test_heartbeats_that_nobody_read_for_long_do_not_abort_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 500  # nothing was lost meanwhile


def test_frames_that_nobody_read_before_their_sender_hung_up_do_not_abort_the_process(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, str(DOOR), str(tmp_path), "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "read 1000\n"

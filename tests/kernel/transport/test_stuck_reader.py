"""A loop that was stuck finds its heartbeats, and its process, as they should be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deadlines import run_to_end

HERE = Path(__file__).parent


def played(program: str, home: Path) -> str:
    """Run one of the programs beside this file, which ends well unless libzmq aborts it."""
    done = run_to_end([sys.executable, str(HERE / program), str(home), "0"], timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_heartbeats_that_nobody_read_for_long_do_not_abort_the_process(tmp_path: Path) -> None:
    heard = played("stuck_reader.py", tmp_path)
    assert int(heard.split()[1]) > 500  # nothing was lost meanwhile


@pytest.mark.slow
def test_frames_that_nobody_read_before_their_sender_hung_up_do_not_abort_the_process(
    tmp_path: Path,
) -> None:
    assert played("stuck_door.py", tmp_path) == "read 1000\n"

"""The log of a node in the foreground: lines for people."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, running

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
AGREEMENT = ("view_installed", "kb_primary", "peer_dropped", "link_redialled", "is not in view")


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_node_tells_in_sentences_who_came_and_why_who_went(tmp_path: Path) -> None:
    log = tmp_path / "n1.log"
    home = str(tmp_path / "home")
    node = [sys.executable, "-m", "zactor", "node", "--home", home, "--name"]

    def said(sentence: str, times: int = 1) -> None:
        until(lambda: log.read_text().count(f"] {sentence}") == times, sentence)

    with log.open("wb") as file, running([*node, "n1", "--logs", "text"], stderr=file) as first:
        said("n1 runs, at 127.0.0.1:")
        for end, why in ((signal.SIGKILL, "its process ended"), (signal.SIGTERM, "it was stopped")):
            with running([*node, "n2"], stderr=subprocess.DEVNULL) as second:
                said("n2 is up", 1 if end is signal.SIGKILL else 2)
                second.send_signal(end)
                said(f"n2 is gone: {why}")
        first.terminate()
        assert first.wait(DEADLINE_S) == 0
    lines = log.read_text().splitlines()
    assert [line for line in lines if not re.match(rf"{MOMENT} \[\w+ *\] ", line)] == []
    assert [line for line in lines if any(word in line for word in AGREEMENT)] == []

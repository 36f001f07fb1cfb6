"""Output that goes on: on real descriptors that take nothing, or nothing for a while."""

from __future__ import annotations

import io
import os
import re
import time
from pathlib import Path

import pytest
from slowness import Slowness

from zactor.kernel import limits
from zactor.supervisor.observe.lasting_output import lasting

LINES = 5_000
SAID = "\n({} lines are missing: there was no room, or nobody read them)\n"


def test_what_finds_no_room_is_left_out() -> None:
    with Path("/dev/full").open("w") as file:
        out = lasting(file)
        for _ in range(LINES):
            print("x" * 100, file=out)
        print("no end of a line", end="", file=out)
        out.flush()


@pytest.mark.parametrize("text", ["\udcff", "ä"])
def test_what_cannot_be_encoded_is_escaped(tmp_path: Path, text: str) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as file:
        print(text, file=lasting(file))
    assert (tmp_path / "log").read_text() == f"{ascii(text)[1:-1]}\n"


def test_a_descriptor_that_was_closed_takes_what_comes() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file:
        out = lasting(file)
        os.close(reader)
        print("nobody reads it", file=out)
    print("nobody ever will", file=out)
    with lasting(None) as nowhere:
        print("nor this", file=nowhere)


def test_who_reads_nothing_holds_nobody_up_and_is_told_what_is_missing(slowness: Slowness) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as file, os.fdopen(reader, "rb", buffering=0) as there:
        out = lasting(file)
        begun = time.monotonic()
        for number in range(LINES):
            print(number, "x" * 100, file=out)
        assert slowness.quiet_s(time.monotonic() - begun) < 20 * limits.LOG_READER_MS / 1000
        read = there.read(1 << 20)
        print("again", file=out)
        read += there.read(1 << 20)
    whole = re.findall(rb"^(\d+) x{100}$", read, re.MULTILINE)
    assert [int(number) for number in whole] == list(range(len(whole)))
    missing = LINES - len(whole)
    assert read.endswith(f"{SAID.format(missing)}again\n".encode())


def test_what_is_no_descriptor_is_left_as_it_is() -> None:
    made = io.StringIO()
    assert lasting(made) is made

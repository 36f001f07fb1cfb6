"""Output of actors: on disk when it is said, bounded for each of them, and waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from zactor.kernel import limits
from zactor.supervisor.observe.actor_output import FILE, ActorOutput


async def attached(folder: Path, incarnation: int = 1) -> ActorOutput:
    output = ActorOutput("n1", incarnation, folder)
    output.attach(asyncio.get_running_loop())
    return output


async def texts(output: ActorOutput, actor: str = "", after: int = 0) -> list[str]:
    lines, _ = await output.wait(actor, after, 0.0, 0.0)
    return [line.text for line in lines]


def test_what_was_said_before_a_kill_is_there_in_the_next_life(tmp_path: Path) -> None:
    async def run() -> None:
        first = await attached(tmp_path)
        first.take("c1", "printed", "one\ntwo")
        # It isn't closed: nothing but the write itself brought it to the disk.
        second = await attached(tmp_path, 2)
        second.take("c1", "printed", "three")
        assert await texts(second) == ["one", "two", "three"]
        first.close()
        second.close()

    asyncio.run(run())


def test_a_line_that_was_cut_by_the_kill_costs_itself_only(tmp_path: Path) -> None:
    async def run() -> None:
        first = await attached(tmp_path)
        first.take("c1", "printed", "one")
        first.close()
        with (tmp_path / FILE).open("ab") as file:
            file.write(b'{"number": 9, "at"')
        second = await attached(tmp_path, 2)
        assert await texts(second) == ["one"]
        second.close()

    asyncio.run(run())


def test_one_that_talks_much_does_not_drive_the_others_out(tmp_path: Path) -> None:
    async def run() -> None:
        output = await attached(tmp_path)
        output.take("quiet", "printed", "once")
        for number in range(3 * limits.OUTPUT_ACTOR_LINES):
            output.take("loud", "printed", f"again {number}")
        assert await texts(output, "quiet") == ["once"]
        assert len(await texts(output, "loud")) == limits.OUTPUT_ACTOR_LINES
        output.close()

    asyncio.run(run())


def test_the_file_is_written_anew_with_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTPUT_FILE_BYTES", 100_000)

    async def run() -> None:
        output = await attached(tmp_path)
        output.take("quiet", "printed", "once")
        for number in range(2_000):
            output.take("loud", "printed", f"again {number}")
        assert (tmp_path / FILE).stat().st_size < 200_000
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
        output.close()
        again = await attached(tmp_path, 2)
        assert await texts(again, "quiet") == ["once"]
        assert (await texts(again, "loud"))[-1] == "again 1999"
        again.close()

    asyncio.run(run())


def test_who_waits_hears_the_next_line(tmp_path: Path) -> None:
    async def run() -> None:
        output = await attached(tmp_path)
        output.take("c1", "printed", "before")
        waiting = asyncio.create_task(output.wait("", output.number, 0.0, 30.0))
        await asyncio.sleep(0)
        output.take("c1", "failed", "boom")
        lines, number = await waiting
        assert [(line.actor, line.kind, line.text) for line in lines] == [("c1", "failed", "boom")]
        assert number == lines[-1].number
        output.close()

    asyncio.run(run())


def test_a_line_of_any_length_is_cut(tmp_path: Path) -> None:
    async def run() -> None:
        output = await attached(tmp_path)
        output.take("c1", "printed", "x" * 100_000)
        assert len((await texts(output))[0]) == limits.OUTPUT_LINE_CHARS_MAX
        output.close()

    asyncio.run(run())


def test_what_is_no_text_is_kept_in_words(tmp_path: Path) -> None:
    async def run() -> None:
        output = await attached(tmp_path)
        output.take("c1", "printed", "caf\udce9")
        assert await texts(output) == ["caf\\udce9"]
        output.close()
        assert await texts(await attached(tmp_path, 2)) == ["caf\\udce9"]

    asyncio.run(run())


def test_where_all_room_is_taken_everybody_keeps_the_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTPUT_NODE_BYTES", 1_000)
    monkeypatch.setattr(limits, "OUTPUT_ACTOR_BYTES", 1_000)

    async def run() -> None:
        output = await attached(tmp_path)
        for number in range(40):
            output.take(f"c{number % 4}", "printed", f"{number:2}" * 50)
        for number in range(4):
            assert (await texts(output, f"c{number}"))[-1] == f"{36 + number}" * 50
        output.take("long", "printed", "x" * 500)
        assert await texts(output, "long") == ["x" * 500]
        output.close()

    asyncio.run(run())


def test_of_more_actors_than_are_kept_the_silent_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OUTPUT_ACTORS_MAX", 3)

    async def run() -> None:
        output = await attached(tmp_path)
        for number in range(9):
            output.take(f"c{number}", "printed", "")
            output.take(f"c{number}", "printed", f"{number}")
        assert await texts(output) == ["6", "7", "8"]
        output.close()

    asyncio.run(run())

"""The demos show what they should, and say so when they don't."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

import pytest

from zactor import BlockingCluster, ConfigError, local
from zactor.demos import crashing, demo1, demo2, demo3, demo4, story
from zactor.demos.counter import Counter, FailCounter, LazyCounter
from zactor.demos.gui import Gui
from zactor.kernel import Kernel

IN_TIME = "no later than 3 s after that"


@pytest.mark.parametrize(
    ("demo", "argv", "last"),
    [
        (demo1, [], "g2 shows 6 as well"),
        pytest.param(demo2, [], "c2 has noticed nothing: it counts 3", marks=pytest.mark.slow),
        pytest.param(demo3, [], "the interaction is there once", marks=pytest.mark.slow),
        pytest.param(demo3, ["--at", "wire.before"], "g2 shows nothing", marks=pytest.mark.slow),
        pytest.param(
            demo3, ["--at", "react:end"], "g2 shows what c1 sends: 42", marks=pytest.mark.slow
        ),
        pytest.param(demo4, [], "a new c1 counts from 1", marks=pytest.mark.slow),
        pytest.param(
            demo4, ["--at", "write.before"], "its on_stop has not run", marks=pytest.mark.slow
        ),
        pytest.param(demo4, ["--at", "unwire.before"], IN_TIME, marks=pytest.mark.slow),
        pytest.param(demo4, ["--at", "clear.during@4"], IN_TIME, marks=pytest.mark.slow),
        pytest.param(
            demo4,
            ["--fail"],
            "destroyActor(c1) once more removes what is left of it",
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: value.__name__[-5:] if isinstance(value, ModuleType) else None,
)
def test_a_demo_shows_what_it_should(
    demo: ModuleType, argv: list[str], last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(argv) == 0
    out, err = capsys.readouterr()
    assert f"✓ {last}\n" in out
    assert "✗" not in out
    assert err == ""


def test_a_demo_that_does_not_show_it_fails_and_shows_the_logs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "CHECK_S", 0.05)

    def tell(cluster: BlockingCluster, told: story.Story) -> None:
        told.check("two is two", lambda: True)
        told.check("two is three", lambda: False)
        told.check("and so on", lambda: True)

    assert story.run_demo(tell, "A lie", nodes=0) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-2:] == ["   ✓ two is two", "   ✗ two is three"]
    assert "node_started" in err
    assert err.endswith("the demo failed: two is three\n")


def test_a_line_of_the_script_that_fails_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "s.zs"
    script.write_text("deployActor(counter, c1, nowhere).")

    def tell(cluster: BlockingCluster, told: story.Story) -> None:
        told.script(cluster, script)

    assert story.run_demo(tell, "A script", nodes=0) == 1
    assert "✗ deployActor(counter, c1, nowhere): " in capsys.readouterr().out


def test_a_terminal_without_the_ticks_gets_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii:
        encoding = "ascii"

    monkeypatch.setattr(story.sys, "stdout", Ascii())
    assert story._mark("✓", "ok") == "ok"


@pytest.mark.parametrize(
    ("demo", "argv", "told"),
    [
        (demo1, ["--fast"], "demo 1 takes no arguments, not --fast"),
        (demo3, ["--fast"], r"demo 3 takes \[--at PLACE\] \[--list\], not '--fast'"),
        (demo3, ["--fail"], "not '--fail'"),
        (demo4, ["--at"], "not '--at'"),
        (demo3, ["--at", "destroy_todo:end"], "'react:destroy_todo:end' is no place"),
        (demo4, ["--at", "finish.before@2"], "turns"),
    ],
)
def test_a_demo_takes_its_own_arguments_only(demo: ModuleType, argv: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        demo.run(argv)


@pytest.mark.parametrize(("demo", "table"), [(demo3, "react"), (demo4, "destroy_todo")])
def test_a_demo_lists_the_places_where_its_master_may_die(
    demo: ModuleType, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(["--list"]) == 0
    assert capsys.readouterr().out.splitlines() == crashing.places(table)
    assert len(crashing.places(table)) > 2


def test_counter_and_gui_work_in_one_process_too(capsys: pytest.CaptureFixture[str]) -> None:
    with Kernel() as kernel:
        kernel.spawn(Counter, name="c1", start=3)
        kernel.spawn(Gui, name="g1")
        kernel.react_interaction("c1", "g1", "inc")
        kernel.react_interaction("g1", "c1", "updateVal")
        kernel.do_action("g1", "press")
        kernel.send_signal("g1", "inc")
        kernel.run_until_idle()
        assert kernel.do_action("c1", "count").result() == 5
        assert kernel.do_action("g1", "shown").result() == 5
    assert capsys.readouterr().out == "g1 | 4\ng1 | 5\n"


@pytest.mark.slow
def test_a_lazy_counter_is_destroyed_only_when_it_has_finished_its_work() -> None:
    async def story() -> None:
        async with local(nodes=1) as cluster:
            m = cluster.master
            lazy = await m.deploy_actor(LazyCounter, "c1", "n1", seconds=0.1)
            await m.deploy_actor(Gui, "g1", "n1")
            asks = [lazy.inc() for _ in range(3)]
            assert await asks[0] == 1
            await m.destroy_actor("c1")
            assert [await ask for ask in asks] == [1, 2, 3]

    asyncio.run(story())


def test_a_fail_counter_fails_while_it_is_destroyed_and_can_be_removed() -> None:
    with local(nodes=1) as cluster:
        m = cluster.master
        assert m.deploy_actor(FailCounter, "c1", "n1").inc() == 1
        with pytest.raises(Exception, match="as it was made to"):
            m.destroy_actor("c1")
        (row,) = m.actors()
        assert row["state"] == "failed"
        m.destroy_actor("c1")
        assert m.actors() == []

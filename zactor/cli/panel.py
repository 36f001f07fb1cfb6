"""`zactor panel`: what an actor shows of itself, and its buttons, in a terminal."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from zactor.cli.common import CONTEXT, Asking, Settings, say, settings
from zactor.cli.offers import actors_offered
from zactor.kernel.errors import ConfigError, NotReachable, TimedOut, ZactorError

if TYPE_CHECKING:
    from zactor.cli.keyboard import Keyboard
    from zactor.client.panel import ActorPanel

_LOOK_S = 5.0  # of one request
_FIRST_S = 3.0  # until an actor that is busy must have shown something


async def _first(panel: ActorPanel) -> None:
    if not await panel.look(_FIRST_S):
        raise TimedOut(f"{panel.actor} shows nothing for {_FIRST_S:g} s: is {panel.node} blocked?")


async def _once(given: Settings, actor: str, press: str | None) -> None:
    from zactor.cli.output import to_json, use_colour
    from zactor.cli.panel_frame import panel_frame
    from zactor.client.connect import connect
    from zactor.client.panel import ActorPanel

    async with connect(given.endpoint, given.home_folder, timeout=given.timeout) as master:
        panel = ActorPanel(master, actor)
        await _first(panel)
        if press is not None:
            name, equals, text = press.partition("=")
            await panel.drive(name, _value(text) if equals else None)
            await panel.look(1.0)
    if given.json:
        shown = {"name": actor, "node": panel.node, "values": panel.values}
        say(to_json({**shown, "controls": panel.controls}))
        return
    title = f"{actor} on {panel.node}"
    frame = panel_frame(title, panel.controls, panel.values, panel.lines, colour=use_colour())
    say("\n".join(line.rstrip() for line in frame))


def _value(text: str) -> object:
    from zactor.commands.command import read_json

    return read_json(text)


async def _live(given: Settings, actor: str) -> None:
    from zactor.cli.keyboard import Keyboard
    from zactor.client.connect import connect
    from zactor.client.panel import ActorPanel

    async with connect(given.endpoint, given.home_folder, timeout=given.timeout) as master:
        panel = ActorPanel(master, actor)
        await _first(panel)  # what is wrong is told before the screen is taken
        with Keyboard().opened() as keyboard:
            await _Shown(panel, keyboard).run()


class _Shown:
    """One panel on one screen."""

    def __init__(self, panel: ActorPanel, keyboard: Keyboard) -> None:
        self._panel = panel
        self._keyboard = keyboard
        self._chosen = 0
        self._note = ""

    async def run(self) -> None:
        """Show it until somebody quits."""
        looking: asyncio.Task[None] = asyncio.create_task(self._keep_looking())
        try:
            while True:
                self._draw()
                key = await self._keyboard.key(0.1)
                if key in ("q", "escape", "interrupt"):
                    return
                if key:
                    try:
                        await self._obey(key)
                    except ZactorError as error:
                        self._note = str(error)
        finally:
            looking.cancel()

    async def _keep_looking(self) -> None:
        while True:
            try:
                if await self._panel.look(_LOOK_S):
                    self._note = ""
            except NotReachable as error:
                self._note = f"no answer: {error}"
                await asyncio.sleep(0.5)
            except ZactorError as error:
                self._note = str(error)
                await asyncio.sleep(0.5)

    def _draw(self) -> None:
        from zactor.cli.output import use_colour
        from zactor.cli.panel_frame import KEYS, driven, panel_frame

        width, height = self._keyboard.size()
        names = driven(self._panel.controls)
        frame = panel_frame(
            f"{self._panel.actor} on {self._panel.node or '…'}",
            self._panel.controls,
            self._panel.values,
            self._panel.lines,
            chosen=names[self._chosen % len(names)] if names else "",
            note=self._note,
            width=width,
            colour=use_colour(),
        )[: height - 1]
        self._keyboard.draw([*frame, *[""] * (height - 1 - len(frame)), KEYS[:width]])

    async def _obey(self, key: str) -> None:
        from zactor.cli.panel_frame import driven

        names = driven(self._panel.controls)
        if not names:
            return
        if key in ("up", "k", "down", "j", "tab"):
            self._chosen = (self._chosen + (-1 if key in ("up", "k") else 1)) % len(names)
            return
        name = names[self._chosen % len(names)]
        control = next(
            each for each in self._panel.controls if each["name"] == name and each.get("does")
        )
        value = self._panel.values.get(name)
        if control["kind"] == "slider" and key in ("left", "right"):
            low, high, step = (float(str(control[each])) for each in ("low", "high", "step"))
            now = float(value) if isinstance(value, int | float) else low
            moved = now + (step if key == "right" else -step)
            await self._panel.drive(name, min(max(moved, low), high))
        elif key in ("enter", " "):
            if control["kind"] == "switch":
                await self._panel.drive(name, value is not True)
            elif control["kind"] == "button":
                await self._panel.drive(name)


def _panel(actor: str, once: bool, press: str | None) -> None:
    given = settings(click.get_current_context())
    if press is not None and not press.partition("=")[0]:
        raise ConfigError(f"--press {press!r}: want NAME, or NAME=VALUE of a switch or slider")
    is_screen = sys.stdin.isatty() and sys.stdout.isatty()
    if once or press is not None or given.json or not is_screen:
        asyncio.run(_once(given, actor, press))
    else:
        asyncio.run(_live(given, actor))


panel = Asking(
    "panel",
    callback=_panel,
    params=[
        click.Argument(["actor"], metavar="ACTOR", shell_complete=actors_offered),
        click.Option(["--once"], is_flag=True, help="Print it and end."),
        click.Option(["--press"], metavar="NAME[=VALUE]", help="Drive it, print it and end."),
    ],
    help="What ACTOR shows of itself, live, and its buttons, switches and sliders.\n\n"
    "What is shown stands on the actor's class: panel = Panel(Number('number'), Button('inc')).",
    context_settings=CONTEXT,
)

"""`zactor demo`: the demos, on real processes."""

from __future__ import annotations

import importlib
import re

import click

from zactor.cli.common import CONTEXT, ShellCommand
from zactor.kernel.errors import ConfigError, NoSuchThing

# -- demo ------------------------------------------------------------------------------------
_DEMOS = ("1", "2", "3", "4")


def _demo(number: str, rest: tuple[str, ...]) -> None:
    if not re.fullmatch(r"[0-9]{1,2}", number):
        raise ConfigError(f"{number!r} is no number of a demo, like 1")
    module = f"zactor.demos.demo{number}"
    if number not in _DEMOS:
        raise NoSuchThing(f"there is no demo {number}: want {', '.join(_DEMOS)}")
    code = importlib.import_module(module).run(list(rest))
    click.get_current_context().exit(code)


demo = ShellCommand(
    "demo",
    callback=_demo,
    help="""Run one of the demos with real processes; exit code 0 only if it shows what it should.

    \b
    1:        --web       play it in a browser, until Ctrl-C
    3 and 4:  --list      print the places where the console may be made to die
              --at PLACE  let it die there
    4:        --fail      let the actor's on_stop fail
    """,
    params=[
        click.Argument(["number"], required=False, default="1", metavar=f"[{'|'.join(_DEMOS)}]"),
        click.Argument(["rest"], nargs=-1, metavar="[ARGUMENTS]..."),
    ],
    context_settings={**CONTEXT, "ignore_unknown_options": True},
)

demo.shared = ()

"""Every -h has an example, and every example is right usage."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from zactor.cli.common import Settings
from zactor.cli.examples import LINES, examples_of
from zactor.cli.root import cli


def commands(found: click.Command, context: click.Context) -> Iterator[tuple[str, click.Context]]:
    """All commands with their words, groups among them."""
    words = context.command_path.removeprefix("zactor").strip()
    yield words, context
    if isinstance(found, click.Group):
        for name in found.list_commands(context):
            inner = found.get_command(context, name)
            assert inner is not None, name
            yield from commands(inner, click.Context(inner, context, name))


# As the shell makes it: a command keeps the help option of the first context that it is shown in.
ROOT = click.Context(cli, info_name="zactor", obj=Settings(), **cli.context_settings)
ALL = dict(commands(cli, ROOT))


def test_every_help_has_an_example() -> None:
    without = [
        words or "zactor"
        for words, context in ALL.items()
        if "For example:\n" not in context.command.get_help(context)
    ]
    assert len(ALL) > 60
    assert not without


@pytest.mark.parametrize("line", LINES)
def test_every_example_is_right_usage(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    path = max((each for each in ALL if each and f"{line} ".startswith(f"{each} ")), key=len)
    command = ALL[path].command
    command.make_context(path, words[len(path.split()) :], obj=Settings())
    assert line in examples_of(path)

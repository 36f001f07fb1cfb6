"""What the demos 3 and 4 share: a console that is killed in the middle of what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from zactor import BlockingCluster, ConfigError, connect
from zactor.demos.story import Story
from zactor.supervisor.operations.crash_points import VARIABLE, crash_at, points
from zactor.supervisor.operations.workflows import WORKFLOWS

CONSOLE_S = 60.0  # what a console may take to start, do one line and die


@dataclass(frozen=True, slots=True)
class Options:
    """What a command line asks for."""

    at: str  # where the console dies
    fails: bool  # --fail
    shows_list: bool  # --list: nothing but the places


def places(table: str) -> list[str]:
    """Return the places of one operation."""
    return [point for point in points(WORKFLOWS) if point.startswith(f"{table}:")]


def read_options(
    name: str, argv: Sequence[str], *, table: str, default: str, can_fail: bool = False
) -> Options:
    """Return what `argv` says.

    Raises:
        ConfigError: it says something else, or names no place of that operation.
    """
    at, fails, shows_list = default, False, False
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--list":
            shows_list = True
        elif word == "--fail" and can_fail:
            fails = True
        elif word == "--at" and words:
            at = words.pop(0)
        else:
            usage = "[--at PLACE] [--list]" + (" [--fail]" if can_fail else "")
            raise ConfigError(f"{name} takes {usage}, not {word!r}")
    if not at.startswith(f"{table}:"):
        at = f"{table}:{at}"
    if at.partition("@")[0] not in places(table):
        raise ConfigError(f"{at!r} is no place in {name}: `zactor {name} --list` prints them")
    crash_at({VARIABLE: at})
    return Options(at, fails, shows_list)


def die_inside(cluster: BlockingCluster, story: Story, line: str, at: str) -> None:
    """Start the console m1 again, let it do `line`, and have it kill itself at the place `at`."""
    cluster.stop("m1")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "zactor", "master", "--name", "m1", "-c", line],
        env=os.environ | {"ZACTOR_HOME": str(cluster.home), VARIABLE: at},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CONSOLE_S,
        check=False,
    )
    story.check(
        f"m1 does {line} and dies by kill -9 at {at}",
        lambda: done.returncode == -signal.SIGKILL,
        done.stderr,
    )


def facts(cluster: BlockingCluster, name: str) -> list[str]:
    """Return what the knowledge base of one node says."""
    with connect(cluster.processes.endpoints()[name], cluster.home) as node:
        return [str(row["fact"]) for row in node.facts()]


def all_say_the_same(cluster: BlockingCluster) -> bool:
    """Whether all nodes know the same, and that m1 is gone."""
    known = [facts(cluster, name) for name in cluster.nodes]
    return all(each == known[0] for each in known) and not any("(m1," in fact for fact in known[0])

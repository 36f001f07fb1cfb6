"""The story of a demo: one readable line for each step, with a tick when it did what it should."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zactor import BlockingCluster, ConfigError, ZactorError, local
from zactor.cli.script_runner import read_call
from zactor.commands.command import ConsoleSession
from zactor.commands.script_reader import read_script
from zactor.kernel.errors import EXIT_INTERRUPTED

CHECK_S = 10.0  # what has not become true by then won't
POLL_S = 0.002
_LOG_SHOWN_CHARS = 2_000


class Failed(Exception):
    """The demo did not show what it should."""


class Story:
    """The lines of one demo, on stdout."""

    def __init__(self, title: str) -> None:
        """Begin with the title."""
        self._number = 0
        self._began = time.monotonic()
        self._say(title)

    def part(self, text: str) -> None:
        """Begin a part of the story."""
        self._number += 1
        self._say(f"\n{self._number}. {text}")

    def done(self, text: str) -> None:
        """Tell a step that took place."""
        self._say(f"   {_mark('✓', 'ok')} {text}")

    def script(self, cluster: BlockingCluster, file: Path) -> None:
        """Do the operations of a script, one line each.

        Raises:
            Failed: one of them failed.
        """
        session = ConsoleSession(cluster.master, cluster.home, folders=(file.parent,))
        for line in read_script(file.read_text()):
            try:
                call = read_call(line)
                call.command.act(session, call.values)
            except ZactorError as error:
                raise self._failure(f"{line.text}: {error}") from error
            self.done(line.text)

    def check(self, text: str, holds: Callable[[], bool], why_not: str = "") -> None:
        """Wait until `holds()`.

        Raises:
            Failed: it doesn't in CHECK_S seconds; `why_not` says more then.
        """
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > CHECK_S:
                raise self._failure(f"{text}: {why_not}" if why_not else text)
            time.sleep(POLL_S)
        self.done(text)

    def _failure(self, text: str) -> Failed:
        self._say(f"   {_mark('✗', 'NO')} {text}")
        return Failed(text)

    def _say(self, text: str) -> None:
        print(text, flush=True)

    def end(self) -> None:
        """Tell that all went well."""
        self._say(f"\nshown in {time.monotonic() - self._began:.1f} s; nothing is left running")


def run_demo(tell: Callable[[BlockingCluster, Story], None], title: str, nodes: int) -> int:
    """Tell a story about a cluster of its own; return 0 if it showed what it should, else 1."""
    story = Story(title)
    try:
        with local(nodes) as cluster:
            story.done(f"{nodes} nodes and a master run, each its own process, in {cluster.home}")
            try:
                tell(cluster, story)
            except BaseException:
                _show_logs(cluster)
                raise
    except (Failed, ZactorError) as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    story.end()
    return 0


def check_no_arguments(name: str, argv: Sequence[str]) -> None:
    """Raise ConfigError if there are any: a demo takes none."""
    if argv:
        raise ConfigError(f"{name} takes no arguments, not {' '.join(argv)}")


def _mark(sign: str, plain: str) -> str:
    try:
        sign.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return plain
    return sign


def _show_logs(cluster: BlockingCluster) -> None:
    for name in [*cluster.nodes, "m1"]:
        print(f"-- log of {name} --\n{cluster.output(name)[-_LOG_SHOWN_CHARS:]}", file=sys.stderr)

"""The entry points, of `zactor` and of Spread's programs.

Nothing is imported before Ctrl-C can end it without a traceback.
"""

from __future__ import annotations

import sys


def run(arguments: list[str]) -> int:
    """Do what the command line says and return its exit code; errors are one line on stderr."""
    try:
        from zactor.cli.root import run_group

        return run_group(arguments)
    except KeyboardInterrupt:
        return 130  # EXIT_INTERRUPTED, which may not have been imported yet


def main() -> None:
    """The console script `zactor`."""
    sys.exit(run(sys.argv[1:]))


def spread() -> None:
    """The console script `zactor-spread`, in the place of Spread's daemon."""
    sys.exit(run(["spread", *sys.argv[1:]]))


def spuser() -> None:
    """The console script `spuser`."""
    sys.exit(run(["spuser", *sys.argv[1:]]))


def spmonitor() -> None:
    """The console script `spmonitor`."""
    sys.exit(run(["spmonitor", *sys.argv[1:]]))


def spflooder() -> None:
    """The console script `spflooder`."""
    sys.exit(run(["spflooder", *sys.argv[1:]]))

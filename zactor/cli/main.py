"""The entry point of `zactor`. Nothing is imported before Ctrl-C can end it without a traceback."""

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

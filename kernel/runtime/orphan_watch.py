"""The process that ends what a killed node's actors have started: see orphans.py.

Run as a file, with nothing of ours imported: it is begun beside each node that has such actors.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Read `+LEADER` and `-LEADER` until the node is gone, then kill the groups that are left."""
    leaders: set[int] = set()
    for line in sys.stdin:
        leader = int(line[1:])
        if line[0] == "+":
            leaders.add(leader)
        else:
            leaders.discard(leader)
    for leader in leaders:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    main()

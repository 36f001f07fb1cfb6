"""Erlang: processes of one node, and of two nodes on this machine without encryption.

Needs `erl` and `erlc` (Debian: erlang-base).
"""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_S = 600.0


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> int:
    """Start the second node, run all rows in the first."""
    if not (shutil.which("erl") and shutil.which("erlc")):
        print("no erl and erlc here: install erlang-base", file=sys.stderr)
        return 1
    source = Path(__file__).with_name("bench.erl")
    with tempfile.TemporaryDirectory(prefix="zactor-erlang-") as folder:
        subprocess.run(["erlc", "-o", folder, str(source)], check=True)
        # No epmd: it would stay behind. The port of the second node is known to both.
        port = str(free_port())
        common = ["erl", "-noshell", "-pa", folder, "-setcookie", secrets.token_hex(16)]
        common += ["-start_epmd", "false", "-erl_epmd_port", port]
        second = subprocess.Popen(
            [*common, "-name", "two@127.0.0.1", "-eval", "register(main, self()), bench:serve()."],
            stdin=subprocess.PIPE,
        )
        try:
            first = [*common, "-dist_listen", "false", "-name", "one@127.0.0.1"]
            run = "bench:main('two@127.0.0.1'), halt()."
            return subprocess.run([*first, "-eval", run], timeout=LIMIT_S, check=False).returncode
        finally:
            second.kill()
            second.communicate()


if __name__ == "__main__":
    sys.exit(main())

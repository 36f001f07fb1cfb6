"""Declares factories one after the other at a node, and prints each that is done.

Without an address it is whatever node answers.

It ends when its standard input does.

python kb_committer.py HOME PREFIX [HOST:PORT]
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from zactor import ZactorError, connect

ACTOR = """
from zactor import Actor


class Nothing(Actor):
    pass
"""
AGAIN_S = 0.02


def main() -> None:
    home, prefix = Path(sys.argv[1]), sys.argv[2]
    endpoint = sys.argv[3] if len(sys.argv) > 3 else None
    is_over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
    source = home / f"{prefix}.py"
    source.write_text(ACTOR)
    number = 0
    while not is_over.is_set():
        try:
            with connect(endpoint, home=home, timeout=5) as m:
                while not is_over.is_set():
                    number += 1  # whatever becomes of it, it isn't asked for again
                    m.declare_factory(f"{prefix}_{number}", source)
                    print(f"{prefix}_{number}", flush=True)
        except ZactorError as error:
            print(f"{type(error).__name__}", file=sys.stderr, flush=True)
            is_over.wait(AGAIN_S)


if __name__ == "__main__":
    main()

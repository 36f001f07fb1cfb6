"""A client in a process of its own, to be killed: python mailbox_child.py HOME ENDPOINT NAME."""

from __future__ import annotations

import sys

from zactor import Mailbox


def main() -> None:
    """Join "room", say so, send one message and wait to be killed."""
    home, endpoint, name = sys.argv[1:]
    with Mailbox(name, endpoint, home=home) as box:
        box.join("room")
        box.receive()
        box.multicast("room", b"last words", service="safe")
        box.flush()
        print("ready", flush=True)
        while True:
            box.receive()


main()

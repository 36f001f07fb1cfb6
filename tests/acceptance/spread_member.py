"""A member of group g of the fault tests, as a process: it prints what it sees, a line each.

    python spread_member.py port PORT@HOST NAME
    python spread_member.py mailbox HOST:PORT NAME

Lines from standard input are sent to the group as SAFE messages.
"""

from __future__ import annotations

import json
import sys
import threading

from zactor import Mailbox, MembershipMessage, Service
from zactor.spread import (
    Cause,
    SpreadConnection,
    SpreadMembership,
    SpreadMessage,
    SpreadTransitional,
)

GROUP = "g"


def tell(what: str, *fields: object) -> None:
    print(json.dumps([what, *fields]), flush=True)


def as_port(where: str, name: str) -> None:
    with SpreadConnection(where, name) as box:
        box.join(GROUP)

        def send() -> None:
            for line in sys.stdin:
                box.multicast(GROUP, line.strip().encode(), Service.SAFE)

        threading.Thread(target=send, daemon=True).start()
        while True:
            match box.receive():
                case SpreadMessage() as news:
                    tell("said", news.payload.decode())
                case SpreadTransitional():
                    tell("transitional")
                case SpreadMembership() as news:
                    sets = news.vs_sets if news.cause is Cause.NETWORK else ()
                    tell(news.cause.name.lower(), news.members, sets)


def as_mailbox(where: str, name: str) -> None:
    with Mailbox(name, where) as box:
        box.join(GROUP)

        def send() -> None:
            for line in sys.stdin:
                box.multicast(GROUP, line.strip().encode(), service=Service.SAFE)

        threading.Thread(target=send, daemon=True).start()
        for news in box:
            if not isinstance(news, MembershipMessage):
                tell("said", news.payload.decode())
            elif news.transitional:
                tell("transitional")
            else:
                tell(news.cause.value, news.members, news.vs_sets)


if __name__ == "__main__":
    KIND, WHERE, NAME = sys.argv[1:]
    try:
        {"port": as_port, "mailbox": as_mailbox}[KIND](WHERE, NAME)
    except Exception as error:
        tell("end", str(error))

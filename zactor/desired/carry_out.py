"""What `plan` and `apply` do at a node: read the file, ship its code, ask, watch until it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zactor.desired.document import Document, is_identity, read_document
from zactor.kernel.errors import ConfigError, TimedOut
from zactor.supervisor.kb.wishes import Wish, WishedFactory

if TYPE_CHECKING:
    from zactor.client.blocking_master import BlockingMaster

Row = dict[str, object]

RUNS_S = 60.0  # until all that was applied runs
LOOK_FIRST_S, LOOK_LAST_S = 0.02, 0.25  # between two looks at what runs already
BUSY_STATES = ("starting", "stopping")


def read_file(path: str, find: Callable[[str], Path]) -> Document:
    """Return the document in a file, "-": on stdin; `find` says where a path is."""
    if path == "-":
        return read_document(sys.stdin.read(), "<stdin>", Path())
    file = find(path)
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8 text"
        raise ConfigError(f"can't read {path!r}: {reason}") from None
    return read_document(text, path, file.parent)


def wish_of(master: BlockingMaster, document: Document, progress: Callable[[str], None]) -> Wish:
    """Return what a document wants; the code that it names by a path is at the node then."""
    bundles = {}
    for type_name, source in sorted(document.factories.items()):
        bundles[type_name] = source
        if not is_identity(source):
            path = Path(source).expanduser()
            progress(f"shipping {source} as {type_name}")
            bundles[type_name] = master.ship(path if path.is_absolute() else document.folder / path)
    return make_wish(document, bundles)


def make_wish(document: Document, bundles: Mapping[str, str]) -> Wish:
    """Return what a document wants.

    Args: bundles: by type, the identity of its code.
    """
    wish = Wish(
        name=document.name,
        keep=document.keep,
        factories=tuple(WishedFactory(type=name, bundle=bundles[name]) for name in bundles),
        actors=document.actors,
        wires=document.wires,
        groups=document.groups,
    )
    return wish.sorted()


def watch(
    master: BlockingMaster,
    starts: list[str],
    stops: list[str],
    *,
    within_s: float,
    tell: Callable[[Row], None],
) -> list[Row]:
    """Wait until each of `starts` runs or has failed and each of `stops` is gone.

    Returns a row for each: name, ok, node, state, detail, took_s; `tell` hears each as it comes.

    Raises:
        TimedOut: some were neither within `within_s`; the message names them.
    """
    began, wait_s = time.monotonic(), LOOK_FIRST_S
    waiting, ending, rows = set(starts), set(stops), list[Row]()

    def settle(name: str, ok: bool, node: str, state: str, detail: str) -> None:
        took_s = round(time.monotonic() - began, 2)
        row: Row = {"name": name, "ok": ok, "node": node, "state": state, "detail": detail}
        rows.append({**row, "took_s": took_s})
        tell(rows[-1])

    while waiting or ending:
        there = _states(master)
        for name in sorted(waiting & there.keys()):
            node, state, reason = there[name]
            if state not in BUSY_STATES:
                settle(name, state == "running", node, state, reason)
                waiting.discard(name)
        for name in sorted(ending - there.keys()):
            settle(name, True, "", "removed", "")
            ending.discard(name)
        if not (waiting or ending):
            break
        if time.monotonic() - began > within_s:
            names = ", ".join(sorted(waiting | ending))
            raise TimedOut(f"not done within {within_s:g} s: {names}; it may still be: look")
        time.sleep(wait_s)
        wait_s = min(wait_s * 1.3, LOOK_LAST_S)
    return rows


def _states(master: BlockingMaster) -> Mapping[str, tuple[str, str, str]]:
    """Return node, state and reason of each actor that is there."""
    goal = "actor(Name, _, Node), state(Name, State, Reason)"
    return {
        cast("str", row["Name"]): (
            cast("str", row["Node"]),
            cast("str", row["State"]),
            cast("str", row["Reason"]),
        )
        for row in master.query(goal)
    }


def counts(rows: list[Row]) -> Mapping[str, int]:
    """Return how many rows there are of each sign."""
    found = dict.fromkeys("+~-!x=", 0)
    for row in rows:
        found[str(row["sign"])] += 1
    return found

"""What Spread's monitor shows: its menu, and the status of a daemon."""

from __future__ import annotations

from collections.abc import Mapping

from zactor.kernel.errors import ZactorError
from zactor.kernel.printable import printable
from zactor.spread.monitor import Outcome

MENU = """
=============
Monitor Menu:
-------------
	0. Activate/Deactivate Status {all, none, Proc}

	1. Define Partition
	2. Send   Partition
	3. Review Partition
	4. Cancel Partition Effects

	5. Define Flow Control
	6. Send   Flow Control
	7. Review Flow Control

	8. Terminate Spread Daemons {all, none, Proc}

	r. Reload Configuration File

	9. Exit
"""


def status_text(name: str, found: Outcome, before: Mapping[str, object] | None) -> str:
    """Return the status of a daemon; `before` is the one that was shown before it, if any.

    Its lines and words are those of Spread's monitor; what has no counterpart here is 0.
    """
    if isinstance(found, ZactorError):
        return f"\nMonitor: no status of {name}: {printable(str(found))}"
    members = found["members"]
    assert isinstance(members, list), "names of daemons"
    cut = found["cut_off"]
    assert isinstance(cut, list), "names of daemons"
    number = {key: int(value) for key, value in found.items() if isinstance(value, int | float)}
    last = before if before is not None else dict.fromkeys(found, 0)
    old = {key: int(value) for key, value in last.items() if isinstance(value, int | float)}
    changes = f"{number['views']:7}"
    ended = [number[each] for each in ("refused", "silent", "programs_cut_off")]
    lines = [
        "\n============================",
        f"Status at {found['daemon']} V {found['version']} (state {found['state']})"
        f" after {number['up_s']} seconds :",
        f"Membership  :  {len(members)}  procs, leader is {found['leader']}:"
        f" {' '.join(map(str, members))}",
        *([f"Cut off     :  {' '.join(map(str, cut))}"] if cut else []),
        f"rounds   :       0\ttok_hurry :       0\tmemb change: {changes}",
        f"sent pack: {number['frames_sent']:7}\trecv pack : {number['frames_received']:7}"
        f"\tretrans    :       0",
        f"My_aru   : {number['stable_line']:7}\tAru       : {number['stable_line']:7}",
        f"Sessions : {number['sessions']:7}\tGroups    : {number['groups']:7}"
        f"\tWindow     : {number['window']:7}",
        f"Deliver M: {number['delivered']:7}\tPers Window: {number['own_window']:6}",
        f"Delta Mes: {number['delivered'] - old.get('delivered', 0):7}"
        f"\tDelta sec : {number['up_s'] - old.get('up_s', 0):7}",
        *(["Programs :  refused {}\tsilent {}\tcut off {}".format(*ended)] if any(ended) else []),
        "==================================",
    ]
    return printable("\n".join(lines), keep="\n\t")


def outcome_text(what: str, found: Mapping[str, Outcome]) -> str:
    """Return who did what was asked, and why others didn't."""
    done = [name for name, each in found.items() if not isinstance(each, ZactorError)]
    lines = [f"Monitor: {what}: {' '.join(done) or 'nobody'}"]
    for name, each in found.items():
        if isinstance(each, ZactorError):
            lines.append(f"Monitor: {name} did not: {each}")
        elif each.get("added") or each.get("removed"):
            lines.append(f"Monitor: {name}: added {each['added']}, removed {each['removed']}")
    return printable("\n".join(lines), keep="\n\t")

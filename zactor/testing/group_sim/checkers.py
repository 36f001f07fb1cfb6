"""The invariants of the groups, G1 to G12, liveness and flow, checked over event logs.

One function for each, named by CHECKERS; it returns a line for every violation. Nothing of
the engine is imported. Each function looks at its own invariant only: a message that is delivered
twice is G2's business, and the others take its first delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from zactor.testing.group_sim.group_model import check_group_views
from zactor.testing.group_sim.history import (
    ORDERED,
    STREAMED,
    History,
    Line,
    ViewPeriod,
    split_process,
    view_key,
)

Checker = Callable[[History], list[str]]


def check_views(history: History) -> list[str]:
    """G1: a process installs views that hold it; one membership per id; ids grow."""
    wrong = []
    members: dict[object, tuple[str, ...]] = {}
    for process, periods in sorted(history.periods.items()):
        before = None
        for period in periods:
            if process not in period.members:
                wrong.append(f"{process} installs {period.view} that doesn't hold it")
            if members.setdefault(period.view, period.members) != period.members:
                wrong.append(f"{period.view} has two memberships: {period.members} at {process}")
            if before is not None and period.view <= before:
                wrong.append(f"{process} goes from {before} back to {period.view}")
            before = period.view
    return wrong


def _integrity(history: History, services: tuple[str, ...]) -> list[str]:
    wrong = [
        f"{line['p']} delivers {line['mid']} twice"
        for line in history.repeated
        if line["service"] in services
    ]
    for period in history.all_periods():
        for line in period.delivered:
            mid = line["mid"]
            if line["service"] not in services:
                continue
            if mid not in history.sends:
                wrong.append(f"{period.process} delivers {mid}, which nobody sent")
            elif history.delivered_at[period.process, mid] < history.sent_at[mid]:
                wrong.append(f"{period.process} delivers {mid} before it was sent")
    return wrong


def check_integrity(history: History) -> list[str]:
    """G2: delivered at most once, only if sent, only after it was sent (FIFO and above)."""
    return _integrity(history, STREAMED)


def check_same_view(history: History) -> list[str]:
    """G3: delivered in the configuration of the view it was sent in, and it says so."""
    wrong = []
    for period in history.all_periods():
        for lines, transitional in ((period.regular_lines, False), (period.after_lines, True)):
            for line in lines:
                sent = history.sends.get(line["mid"], line)
                if not view_key(line["v"]) == view_key(sent["v"]) == period.view:
                    wrong.append(f"{period.process} delivers {line['mid']} outside its view")
                if line["trans"] is not transitional:
                    wrong.append(f"{period.process} mistakes the configuration of {line['mid']}")
    return wrong


def check_self_delivery(history: History) -> list[str]:
    """G4: a process delivers its own messages before it leaves the view, unless it crashes."""
    wrong = []
    for period in history.all_periods():
        if period.next_view is None and period.process in history.down:
            continue
        delivered = {line["mid"] for line in period.delivered}
        wrong += [
            f"{period.process} leaves {period.view} without its own {line['mid']}"
            for line in period.sent
            if line["mid"] not in delivered
        ]
    return wrong


def check_fifo(history: History) -> list[str]:
    """G5: of each sender, FIFO and above come in sending order and without a gap inside a view."""
    wrong = []
    order: dict[tuple[object, str], list[str]] = {}
    for period in history.all_periods():
        order[period.view, period.process] = [
            line["mid"] for line in period.sent if line["service"] in STREAMED
        ]
    for period in history.all_periods():
        got: dict[str, list[str]] = {}
        for line in period.delivered:
            sent = history.sends.get(line["mid"])
            if sent is not None and line["service"] in STREAMED:
                got.setdefault(sent["p"], []).append(line["mid"])
        for sender, mids in sorted(got.items()):
            want = order.get((period.view, sender), [])[: len(mids)]
            if mids != want:
                wrong.append(
                    f"{period.process} has {mids} of {sender} in {period.view}, not {want}"
                )
    return wrong


def check_causal(history: History) -> list[str]:
    """G6: who delivers m has delivered what m's sender had delivered when it sent m.

    Only what came since the sender's message before is looked at: the rest follows.
    """
    wrong = []
    receivers: dict[str, list[str]] = {}
    for process, places in sorted(history.places.items()):
        for mid in places:
            receivers.setdefault(mid, []).append(process)
    for period in history.all_periods():
        fresh: list[str] = []
        for line in period.lines:
            if line["k"] == "deliver" and line["service"] in ORDERED:
                fresh.append(line["mid"])
            elif line["k"] == "send" and line["service"] in ORDERED:
                for process in receivers.get(line["mid"], ()):
                    places = history.places[process]
                    wrong += [
                        f"{process} delivers {line['mid']} without {cause} before it"
                        for cause in fresh
                        if places.get(cause, len(places)) > places[line["mid"]]
                    ]
                fresh = [line["mid"]]
    return wrong


def check_agreed(history: History) -> list[str]:
    """G7: one order for all processes and components: consecutive deliveries form no cycle."""
    after: dict[str, set[str]] = {}
    for _, periods in sorted(history.periods.items()):
        before = None
        for period in periods:
            for line in period.delivered:
                if line["service"] in ORDERED:
                    after.setdefault(line["mid"], set())
                    if before is not None:
                        after[before].add(line["mid"])
                    before = line["mid"]
    arrows = dict.fromkeys(after, 0)
    for targets in after.values():
        for target in targets:
            arrows[target] += 1
    free = [mid for mid, count in arrows.items() if not count]
    while free:
        mid = free.pop()
        for target in after.pop(mid):
            arrows[target] -= 1
            if not arrows[target]:
                free.append(target)
    return [f"no one order: a cycle among {sorted(after)[:6]}"] if after else []


def check_safe(history: History) -> list[str]:
    """G8: a SAFE message that one delivers, all of its configuration deliver, or crash."""
    wrong = []
    for period in history.all_periods():
        for lines, needed in (
            (period.regular_lines, period.members),
            (period.after_lines, period.transitional or ()),
        ):
            for line in lines:
                if line["service"] != "safe":
                    continue
                wrong += [
                    f"{period.process} delivers {line['mid']} as SAFE, {other} never does"
                    for other in needed
                    if other in history.periods
                    and other not in history.down
                    and line["mid"] not in history.places.get(other, {})
                ]
    return wrong


def _same_sets(history: History, services: tuple[str, ...]) -> list[str]:
    wrong = []
    for (left, entered), periods in sorted(history.moves().items()):
        for part in ("regular_lines", "after_lines"):
            sets = {
                period.process: {
                    x["mid"] for x in getattr(period, part) if x["service"] in services
                }
                for period in periods
            }
            first = periods[0].process
            for process, mids in sorted(sets.items()):
                odd = sorted(mids ^ sets[first])
                if odd:
                    where = part.removesuffix("_lines")
                    wrong.append(
                        f"{first} and {process} go from {left} to {entered}, "
                        f"but only one delivers {odd[:4]} ({where})"
                    )
    return wrong


def check_virtual_synchrony(history: History) -> list[str]:
    """G9: who goes from one view to the next together delivers the same in both configurations."""
    return _same_sets(history, STREAMED)


def check_transitional_set(history: History) -> list[str]:
    """G10: the transitional set is the same for all who go together, and it is they."""
    wrong = []
    came: dict[tuple[str, object], object] = {}
    for period in history.all_periods():
        if period.next_view is not None:
            came[period.process, period.next_view] = period.view
    for (left, entered), periods in sorted(history.moves().items()):
        sets = {period.transitional for period in periods}
        if len(sets) != 1 or None in sets:
            wrong.append(f"{left} to {entered}: transitional sets {sorted(map(str, sets))}")
            continue
        members = periods[0].transitional or ()
        for period in periods:
            if period.process not in members:
                wrong.append(f"{period.process} went to {entered} outside {members}")
        wrong += [
            f"{process} is in the transitional set of {left} to {entered}, but came otherwise"
            for process in members
            if came.get((process, entered), left) != left
        ]
    return wrong


def check_weak_services(history: History) -> list[str]:
    """G12: UNRELIABLE and RELIABLE: no repeat, no invention; RELIABLE obeys G9."""
    return _integrity(history, ("unreliable", "reliable")) + _same_sets(history, ("reliable",))


def check_liveness(history: History) -> list[str]:
    """Once all is healed and quiet: one view of all that live, everything sent and delivered."""
    wrong = []
    live = sorted(history.live, key=split_process)
    last = {process: history.periods[process][-1] for process in live}
    for process, period in last.items():
        if list(period.members) != live:
            wrong.append(f"{process} ends in {period.members}, alive are {live}")
    wrong += [
        f"{mid} was submitted and never sent"
        for mid, line in history.submits.items()
        if line["p"] in last and mid not in history.sends
    ]
    for process, period in last.items():
        for line in period.sent:
            if line["service"] == "unreliable":
                continue
            wrong += [
                f"{other} never delivers {line['mid']} of {process}"
                for other in live
                if last[other].view == period.view
                and other != process
                and line["mid"] not in history.places.get(other, {})
            ]
    return wrong


def _readers(
    snapshot: Mapping[str, Line], sender: str, groups: Iterable[str]
) -> list[tuple[str, str]]:
    """The sessions in the sender's view, each with its process, that a message there is for."""
    return [
        (process, session)
        for process, line in snapshot.items()
        if process in snapshot[sender]["members"]
        for session, joined in line["joined"].items()
        if not set(groups).isdisjoint((*joined, f"#{session}#{split_process(process)[0]}"))
    ]


def _behind(line: Line, part: float) -> set[tuple[str, str]]:
    """The sessions of a process with more unread than this part of what they may have."""
    unread = line["unread"]
    is_crowded = sum(unread.values()) > part * line["all"]
    most = part * min(line["backlog"], line["share"] if is_crowded else line["backlog"])
    return {(line["p"], session) for session, count in unread.items() if count > most}


def check_flow(history: History) -> list[str]:
    """Who sends to a group of which a member is behind is held; nobody else, and not for ever.

    In a healed network, so all know who is behind: more unread than it may have. It is behind until
    half of that is left, so between the two both are right.
    """
    wrong = []
    moments: dict[int, dict[str, Line]] = {}
    for line in history.flows:
        moments.setdefault(line["t"], {})[line["p"]] = line
    before: dict[str, Line] = {}
    full_before: set[tuple[str, str]] = set()
    began = 0
    for t, snapshot in sorted(moments.items()):
        maybe = {reader for line in snapshot.values() for reader in _behind(line, 0.5)}
        full = {reader for line in snapshot.values() for reader in _behind(line, 1)}
        for process, line in snapshot.items():
            wrong += [
                f"{session} of {process} is held, all of {groups} read"
                for session, groups in line["held"].items()
                if maybe.isdisjoint(_readers(snapshot, process, groups))
            ]
        for mid, line in history.submits.items():
            if line["p"] not in snapshot or not began <= line["t"] < t:
                continue
            if mid not in history.sends or history.sends[mid]["t"] > t:
                wrong.append(f"{mid} isn't held, and isn't sent")
            if line["p"] not in before:
                continue
            to = line["p"], line.get("groups", ())
            # Who joined since then may have done so after this was submitted.
            readers = set(_readers(before, *to)).intersection(_readers(snapshot, *to))
            if full_before.intersection(full, readers):
                wrong.append(f"{mid} is submitted to {line['groups']}, which are full")
        before, full_before, began = snapshot, full, t
    return wrong


CHECKERS: Mapping[str, Checker] = {
    "G1": check_views,
    "G2": check_integrity,
    "G3": check_same_view,
    "G4": check_self_delivery,
    "G5": check_fifo,
    "G6": check_causal,
    "G7": check_agreed,
    "G8": check_safe,
    "G9": check_virtual_synchrony,
    "G10": check_transitional_set,
    "G11": check_group_views,
    "G12": check_weak_services,
    "live": check_liveness,
    "flow": check_flow,
}
"""All checks by the name of their invariant."""


def check_all(lines: Iterable[Line]) -> dict[str, list[str]]:
    """Return the violations in a log by invariant; empty where all is well."""
    history = History(lines)
    found = {name: check(history) for name, check in CHECKERS.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


__all__ = ["CHECKERS", "Checker", "History", "Line", "ViewPeriod", "check_all"]

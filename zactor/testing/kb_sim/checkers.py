"""The invariants of the knowledge base, K1 to K9, convergence and liveness, over event logs.

One function for each; it returns a line for every violation. Nothing of the replica is imported.
The lines are those of the simulator; `kb_apply`, `kb_ack` and `primary` are also written by nodes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

from zactor.testing.group_sim.history import Line
from zactor.testing.kb_sim.history import Asked, Clock, Knowledge, clock_of

Checker = Callable[["Knowledge"], list[str]]

REFUSE_MS = 1_000.0
PROBE_MS = 1_000.0
EPOCHS_MAX = 10_000  # of one run: no honest cluster gets that far


def check_one_history(knowledge: Knowledge) -> list[str]:
    """K1: a clock means the same history wherever it was applied or begun with."""
    wrong = [
        f"{clock} is applied as {sorted(hashes)} by {sorted(hashes.values())}"
        for clock, hashes in sorted(knowledge.hashes.items())
        if len(hashes) > 1
    ]
    for line in knowledge.lines:
        clock = clock_of(line) if line["k"] in ("kb_start", "kb_take") else (0, 0)
        if clock != (0, 0) and line["hash"] not in knowledge.hashes.get(clock, {}):
            wrong.append(f"{line['p']} has {clock} with a hash that nobody applied")
    return wrong


def check_watchers(knowledge: Knowledge) -> list[str]:
    """K9: who watches a node sees each change once, in order, or that all is another (kb_take)."""
    wrong = []
    following = dict(zip(knowledge.clocks, knowledge.clocks[1:], strict=False))
    if knowledge.clocks:
        following[0, 0] = knowledge.clocks[0]
    standing: dict[str, Clock] = {}
    for line in knowledge.lines:
        if line["k"] in ("kb_start", "kb_take"):
            standing[line["p"]] = clock_of(line)
        elif line["k"] == "kb_apply":
            before, clock = standing.get(line["p"], (0, 0)), clock_of(line)
            if following.get(before) != clock:
                wrong.append(f"{line['p']} shows {clock} after {before}")
            standing[line["p"]] = clock
    return wrong


def check_nothing_lost(knowledge: Knowledge) -> list[str]:
    """K2: what a client was told to have taken place is in every history at the end, once."""
    wrong = []
    times: dict[str, int] = {}
    for id_ in knowledge.ids.values():
        times[id_] = times.get(id_, 0) + 1
    for asked in knowledge.acknowledged():
        if knowledge.ids.get(asked.clock) != asked.id:
            wrong.append(f"{asked.id} was acknowledged at {asked.clock}, which is another change")
        if times.get(asked.id, 0) > 1:
            wrong.append(f"{asked.id} took place {times[asked.id]} times")
        for end in () if knowledge.stands_still else knowledge.ends:
            missing = [text for text in asked.asserted if text.startswith("did(")]
            if clock_of(end) < asked.clock or not set(missing) <= set(end["facts"]):
                wrong.append(f"{end['p']} lacks {asked.id}, acknowledged at {asked.clock}")
    return wrong


def check_one_primary(knowledge: Knowledge) -> list[str]:
    """K3: an epoch has one primary, and who makes the next has a majority of the one before."""
    wrong = []
    before: Line | None = None
    for line in knowledge.lines:
        if (
            line["k"] == "primary"
            and line["members"] != knowledge.primaries[line["epoch"]]["members"]
        ):
            wrong.append(f"epoch {line['epoch']} has two primaries")
    for _, line in sorted(knowledge.primaries.items()):
        if before is not None:
            members = set(before["members"])
            both = len(members & set(line["voices"]))
            tie = 2 * both == len(members) and before["decider"] in line["voices"]
            if 2 * both <= len(members) and not tie:
                wrong.append(
                    f"{line['voices']} form epoch {line['epoch']} with no majority of"
                    f" {before['members']}"
                )
        before = line
    return wrong


def check_newest_wins(knowledge: Knowledge) -> list[str]:
    """K4: a primary goes on from all that any of its members had, whatever the wall clocks say."""
    wrong = []
    best: dict[int, Clock] = {}  # epoch -> the highest clock that a member brought
    for line in knowledge.lines:
        if line["k"] == "primary":
            epoch = line["epoch"]
            best[epoch] = max(best.get(epoch, (0, 0)), clock_of(line))
    standing: dict[str, Clock] = {}
    for line in knowledge.lines:
        if line["k"] not in ("kb_start", "kb_take", "kb_apply"):
            continue
        before, clock = standing.get(line["p"], (0, 0)), clock_of(line)
        standing[line["p"]] = clock
        if line["k"] == "kb_take" and clock < before:
            wrong.append(f"{line['p']} goes back from {before} to {clock}")
        brought = best.get(clock[0], (0, 0))
        if line["k"] == "kb_apply" and clock[1] == 1 and brought[0] < clock[0] and before < brought:
            wrong.append(f"{line['p']} begins {clock} at {before}, a member had {brought}")
    return wrong


def check_minority(knowledge: Knowledge) -> list[str]:
    """K5: outside the primary every change and read ends within 1 s, changes as NotPrimary."""
    wrong = []
    ends_ns = knowledge.lines[-1]["t"] if knowledge.lines else 0
    spans = _unfit_spans(knowledge)
    for asked in [*knowledge.asked.values(), *knowledge.reads.values()]:
        span = _span_at(spans.get(asked.process, []), asked.begin_ns)
        if span is None:
            continue
        until = span[1] if span[1] is not None else ends_ns
        late = asked.begin_ns + REFUSE_MS * 1e6
        if until >= late and (asked.end_ns is None or asked.end_ns > late):
            wrong.append(f"{asked.id} waits for more than {REFUSE_MS:g} ms at {asked.process}")
        elif asked.end_ns is not None and asked.end_ns < until:
            if asked.kind != "NotPrimary":
                wrong.append(f"{asked.id} ends as {asked.kind!r} outside the primary")
            elif not asked.line["why"]:
                wrong.append(f"{asked.id} is refused without a reason")
    return wrong


Span = tuple[int, int | None]


def _unfit_spans(knowledge: Knowledge) -> dict[str, list[Span]]:
    """For each process when it was outside the primary, up and running."""
    spans: dict[str, list[Span]] = {}
    since: dict[str, int] = {}
    inside: set[str] = set()
    for line in knowledge.lines:
        process, kind = line["p"], line["k"]
        if kind == "primary":
            inside.add(process)
        elif kind in ("lost", "down"):
            inside.discard(process)
        if kind in ("up", "lost", "kb_resumed") and process not in inside:
            since.setdefault(process, line["t"])
        elif kind in ("primary", "down", "kb_paused") and process in since:
            spans.setdefault(process, []).append((since.pop(process), line["t"]))
    for process, begin in since.items():
        spans.setdefault(process, []).append((begin, None))
    return spans


def _span_at(spans: list[Span], at: int) -> Span | None:
    for span in spans:
        if span[0] <= at and (span[1] is None or at < span[1]):
            return span
    return None


def check_linearisable(knowledge: Knowledge) -> list[str]:
    """K6: what ended before something else began is seen by it; a read returns the last value.

    But for what nobody could know: that an old copy of a disk works on alone.
    """
    wrong = []
    changes = knowledge.acknowledged()
    answered = [one for one in knowledge.reads.values() if one.end_ns is not None and not one.kind]
    reads = [one for one in answered if not one.is_forgetful]
    done = sorted([*changes, *reads], key=lambda one: one.end_ns or 0)
    ends = [one.end_ns or 0 for one in done]
    newest: list[Clock] = []  # of all that ended up to here
    for one in done:
        newest.append(max(one.clock, newest[-1] if newest else (0, 0)))
    for one in done:
        place = bisect_right(ends, one.begin_ns - 1)
        seen = newest[place - 1] if place else (0, 0)
        is_read = one.id in knowledge.reads
        if one.clock < seen or (not is_read and one.clock == seen):
            wrong.append(f"{one.id} at {one.clock} began after {seen} had been seen")
    return wrong + _wrong_values(knowledge, reads)


def _wrong_values(knowledge: Knowledge, reads: list[Asked]) -> list[str]:
    """Each key has the value that the last change up to the read's clock gave it."""
    wrong = []
    states: dict[Clock, dict[str, str]] = {(0, 0): {}}
    values: dict[str, str] = {}
    for clock in knowledge.clocks:
        asked = knowledge.asked.get(knowledge.ids[clock])
        for text in asked.asserted if asked is not None else ():
            if text.startswith("value("):
                values[text.partition(",")[0]] = text
        states[clock] = dict(values)
    for read in reads:
        want = sorted(states.get(read.clock, {}).values())
        if sorted(read.values) != want:
            wrong.append(f"{read.id} reads {list(read.values)} at {read.clock}, not {want}")
    return wrong


def check_reach(knowledge: Knowledge) -> list[str]:
    """P11: no member's word makes the others use numbers that are out of reach."""
    return [
        f"epoch {epoch} of {line['members']} is out of reach"
        for epoch, line in sorted(knowledge.primaries.items())
        if epoch > EPOCHS_MAX
    ]


def check_everywhere(knowledge: Knowledge) -> list[str]:
    """K6: what a client was told to have taken place is known at all who are in that primary."""
    wrong = []
    standing: dict[str, Clock] = {}
    primaries: dict[str, tuple[int, list[str]]] = {}  # that a process is in: epoch, members
    for line in knowledge.lines:
        process, kind = line["p"], line["k"]
        if kind in ("kb_start", "kb_take", "kb_apply"):
            standing[process] = clock_of(line)
        elif kind == "primary":
            primaries[process] = (line["epoch"], line["members"])
        elif kind in ("lost", "down"):
            primaries.pop(process, None)
        elif kind == "kb_decided" and not line["kind"] and process in primaries:
            if line["id"] in knowledge.reads:
                continue
            wrong += [
                f"{line['id']} is acknowledged by {process}, {name} hasn't applied it"
                for name, primary in sorted(primaries.items())
                if primary == primaries[process] and standing[name] < clock_of(line)
            ]
    return wrong


def check_durable(knowledge: Knowledge) -> list[str]:
    """K7: acknowledged means on disk at a majority of the primary."""
    wrong = []
    for asked in knowledge.acknowledged():
        members = set(asked.line["members"])
        disks = members & set(asked.line["disks"])
        if 2 * len(disks) <= len(members):
            wrong.append(
                f"{asked.id} is acknowledged while of {sorted(members)} only {sorted(disks)}"
                " have it on disk"
            )
    return wrong


def check_disks(knowledge: Knowledge) -> list[str]:
    """K8: whose disk failed acknowledges nothing any more, and starts from what is whole."""
    wrong = []
    failed: set[str] = set()
    for line in knowledge.lines:
        if line["k"] == "up":
            failed.discard(line["p"])  # a life whose folder was lost had that number too
        elif line["k"] == "kb_failed":
            failed.add(line["p"])
        elif line["p"] in failed and line["k"] in ("kb_decided", "kb_apply", "primary"):
            if line.get("kind", "") == "":
                wrong.append(f"{line['p']} goes on though its disk has failed: {line['k']}")
        elif line["k"] == "kb_start" and clock_of(line) != (0, 0):
            at_start = {knowledge.ids[c] for c in knowledge.clocks if c <= clock_of(line)}
            missing = at_start - set(line["ids"])
            if missing:
                wrong.append(f"{line['p']} starts at {clock_of(line)} without {sorted(missing)}")
    return wrong


def check_convergence(knowledge: Knowledge) -> list[str]:
    """After healing all have the same knowledge, that of the history's end, if they are enough."""
    wrong = []
    if knowledge.stands_still:
        return []
    if not knowledge.ends:
        return ["nobody is there at the end"]
    first = knowledge.ends[0]
    for end in knowledge.ends[1:]:
        if (end["clock"], end["hash"], end["facts"]) != (
            first["clock"],
            first["hash"],
            first["facts"],
        ):
            wrong.append(f"{end['p']} ends at {end['clock']}, {first['p']} at {first['clock']}")
    return wrong


def check_liveness(knowledge: Knowledge) -> list[str]:
    """After healing everybody's change is decided within 1 s, if those who are back are enough."""
    wrong = []
    if knowledge.stands_still:
        return []
    live = {end["p"] for end in knowledge.ends}
    last: dict[str, Asked] = {}
    for asked in knowledge.asked.values():
        last[asked.process] = asked
    for process, asked in sorted(last.items()):
        if process not in live:
            continue
        took_ms = None if asked.end_ns is None else (asked.end_ns - asked.begin_ns) / 1e6
        if took_ms is None or took_ms > PROBE_MS:
            wrong.append(f"{process} waits for {asked.id} for more than {PROBE_MS:g} ms")
        elif asked.kind in ("NotPrimary", "OutcomeUnknown", "ZactorError"):
            wrong.append(f"{process} has no primary at the end: {asked.line['why']}")
    return wrong


CHECKERS: dict[str, Checker] = {
    "K1 one history": check_one_history,
    "K2 nothing acknowledged is lost": check_nothing_lost,
    "K3 one primary": check_one_primary,
    "K4 newest wins": check_newest_wins,
    "K5 minority refuses": check_minority,
    "K6 linearisable": check_linearisable,
    "K6 seen everywhere": check_everywhere,
    "K7 durable": check_durable,
    "K8 torn or failed": check_disks,
    "K9 watchers": check_watchers,
    "P11 within reach": check_reach,
    "convergence": check_convergence,
    "liveness": check_liveness,
}


FORKED = {
    "K1 one history",
    "K2 nothing acknowledged is lost",
    "K4 newest wins",
    "K6 linearisable",
    "K8 torn or failed",
    "K9 watchers",
    "convergence",
    "liveness",
}
"""What a disk that went back within the last primary may break, if the fork is told of."""


def check_all(lines: Iterable[Line]) -> dict[str, list[str]]:
    """Return the violations by invariant; {} if all hold."""
    knowledge = Knowledge(lines)
    excused: set[str] = set()
    if knowledge.has_old_copy:
        # It has forgotten a number that it agreed to, so that may be used twice.
        excused = {"K3 one primary", *(FORKED if knowledge.is_loud else ())}
    found = {name: check(knowledge) for name, check in CHECKERS.items() if name not in excused}
    return {name: wrong for name, wrong in found.items() if wrong}

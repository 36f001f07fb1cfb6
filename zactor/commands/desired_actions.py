"""Actions of plan, apply, export, undo and diff, and what is said of their results to people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, cast

from zactor.commands.command import ConsoleSession, Values
from zactor.commands.text import cell
from zactor.kernel.errors import (
    EXIT_DEGRADED,
    EXIT_FAILED,
    ConfigError,
    Interrupted,
    Refused,
)

Row = dict[str, object]


class _Options(TypedDict):
    """How far a plan goes."""

    prune: bool
    remove_all: bool
    adopt: bool
    anyway: bool


_PLAN = "zactor plan"  # what a kept plan begins with


# -- what they do ----------------------------------------------------------------------------
def plan(session: ConsoleSession, values: Values) -> object:
    """What a file would change; nothing changes."""
    from zactor.desired import carry_out

    file = values.get("file")
    if file is None:
        shown = session.master.plan("", str(values.get("name", "")), **_options(values))
        wish = ""
    else:
        document = carry_out.read_file(str(file), session.find)
        wish = carry_out.wish_of(session.master, document, session.progress).to_text()
        shown = session.master.plan(wish, **_options(values))
    if "output" in values:
        if not wish:
            raise ConfigError("-o keeps the plan of a file: say which")
        kept = {_PLAN: 1, "wish": wish, "digest": shown["digest"], "options": dict(values)}
        Path(str(values["output"])).write_text(json.dumps(kept))
    return {**shown, "file": file, "all": values.get("all") is True}


def _options(values: Values) -> _Options:
    return {
        "prune": values.get("no_prune") is not True,
        "remove_all": values.get("remove_all") is True,
        "adopt": values.get("adopt") is True,
        "anyway": values.get("anyway") is True,
    }


def apply(session: ConsoleSession, values: Values) -> object:
    """Make the network as a file says; what was done, and how each actor is now."""
    wish, digest, options = _wanted(session, values)
    shown = session.master.plan(wish, **options)
    if digest and shown["digest"] != digest:
        raise Refused("the network isn't as it was when this was planned: plan again")
    session.tell(say_plan({**shown, "file": values["file"], "applies": True}))
    rows = _rows(shown)
    if any(row["sign"] == "x" for row in rows):
        return {**shown, "applied": False, "done": []}
    if any(str(row["sign"]) in "+~-" for row in rows):
        _confirm(session, values)
    check = str(values.get("check", ""))
    session.progress(f"applying {shown['wish']}")
    done = session.master.apply(wish, digest=str(shown["digest"]), check=check, **options)
    found = {**done, "applied": True, "whole": False, "done": []}
    return found if values.get("no_wait") is True else _watch(session, values, found)


def _wanted(session: ConsoleSession, values: Values) -> tuple[str, str, _Options]:
    """Return the wish of a file, and the digest of the plan if a plan was kept in it."""
    from zactor.desired import carry_out

    file = str(values["file"])
    if file != "-" and (kept := _kept_plan(session.find(file))) is not None:
        return kept
    document = carry_out.read_file(file, session.find)
    wish = carry_out.wish_of(session.master, document, session.progress)
    return wish.to_text(), "", _options(values)


def _kept_plan(file: Path) -> tuple[str, str, _Options] | None:
    try:
        text = file.read_text()
        kept = json.loads(text) if text.startswith("{") else {}
        if _PLAN not in kept:
            return None
        return str(kept["wish"]), str(kept["digest"]), _options(kept["options"])
    except (OSError, ValueError, KeyError, AttributeError):
        return None  # who reads it as a file says what is wrong


def _confirm(session: ConsoleSession, values: Values) -> None:
    if values.get("yes") is True:
        return
    if session.confirm is None:
        raise ConfigError("this changes the network: say --yes where nobody can be asked")
    if not session.confirm("Do it?"):
        raise Refused("nothing was done")


def _watch(session: ConsoleSession, values: Values, found: Row) -> Row:
    """Wait until all that was begun runs; with --whole take it back where something doesn't."""
    from zactor.desired import carry_out

    starts, stops = (cast("list[str]", found[name]) for name in ("starts", "stops"))
    limit = session.timeout if session.timeout is not None else carry_out.RUNS_S

    def tell(row: Row) -> None:
        session.tell(_progress_line(row))

    clock = cell("clock", found["clock"])
    try:
        done = carry_out.watch(session.master, starts, stops, within_s=limit, tell=tell)
    except KeyboardInterrupt:
        raise Interrupted(
            f"the watching ended, the work goes on: it was applied at {clock}"
        ) from None
    failed = [row for row in done if not row["ok"]]
    if failed and values.get("whole") is True and found.get("changes_wish", True):
        back = session.master.undo(clock)
        starts, stops = (cast("list[str]", back[name]) for name in ("starts", "stops"))
        carry_out.watch(session.master, starts, stops, within_s=limit, tell=lambda row: None)
        return {**found, "done": done, "whole": True}
    return {**found, "done": done}


def _progress_line(row: Row) -> str:
    word = "ok  " if row["ok"] else "fail"
    where = f" on {row['node']}" if row["node"] else ""
    detail = row["state"] if row["ok"] else str(row["detail"]).partition("\n")[0]
    return f"{word}  actor  {row['name']}{where}  {detail}  {row['took_s']:.2f} s"


def drain(session: ConsoleSession, values: Values) -> object:
    """Empty a node; what became of each of its actors."""
    deadline = values.get("deadline")
    return session.master.drain(
        str(values["name"]), None if deadline is None else float(str(deadline))
    )


def export(session: ConsoleSession, values: Values) -> object:
    """The network as a file; its text, and the clock."""
    from zactor.desired.writing import to_toml
    from zactor.supervisor.kb.wishes import from_text

    found = session.master.export(str(values.get("name", "")))
    wish = from_text(json.dumps(found["wish"]))
    others = cast("list[str]", found["others"])
    return {"wish": found["wish"], "clock": found["clock"], "text": to_toml(wish, others)}


def undo(session: ConsoleSession, values: Values) -> object:
    """Take a change back; what was done."""
    clock = str(values["clock"])
    _confirm(session, values)
    found = session.master.undo(clock)
    return _watch(session, {}, {**found, "undone": clock, "applied": True, "whole": False})


def diff(session: ConsoleSession, values: Values) -> object:
    """The facts that came and went between two clocks."""
    first, last = str(values["clock"]), str(values.get("until", ""))
    before = {str(row["fact"]) for row in session.master.facts(first)}
    after = {str(row["fact"]) for row in session.master.facts(last)}
    return {"added": sorted(after - before), "removed": sorted(before - after)}


# -- what they say ---------------------------------------------------------------------------
def _rows(result: Mapping[str, object]) -> list[Row]:
    return cast("list[Row]", result["rows"])


def say_plan(result: object) -> str:
    """The rows of a plan, and how many of each kind."""
    assert isinstance(result, dict)
    clock, file = cell("clock", result["clock"]), result.get("file")
    against = "what is kept" if file is None else "<stdin>" if file == "-" else file
    lines = [f"{result['wish']} at {clock}, compared with {against}"]
    rows = [row for row in _rows(result) if row["sign"] != "=" or result.get("all")]
    widths = [max((len(str(row[name])) for row in rows), default=0) for name in ("kind", "name")]
    lines += [_plan_line(row, widths) for row in rows]
    signs = {str(row["sign"]) for row in rows}
    is_due = bool(signs & set("+~-")) and "x" not in signs  # with an x nothing would be done
    hint = f"          zactor apply {file} --check {clock}" if is_due and file else ""
    lines.append(plan_summary(result) + ("" if result.get("applies") else hint))
    return "\n".join(lines)


def _plan_line(row: Row, widths: Sequence[int]) -> str:
    kind, name = str(row["kind"]).ljust(widths[0]), str(row["name"]).ljust(widths[1])
    return f"{row['sign']} {kind}  {name}  {row['detail']}".rstrip()


def plan_summary(result: Mapping[str, object]) -> str:
    """How many rows of a plan there are of each kind, in words."""
    from zactor.desired.carry_out import counts

    found = counts(_rows(result))
    parts = [
        f"{found[sign]} to {word}"
        for sign, word in (("+", "add"), ("~", "change"), ("-", "remove"))
        if found[sign]
    ]
    if found["x"]:
        parts.append(f"{found['x']} can't be done")
    left = sum(row["sign"] == "!" and row["differs"] is True for row in _rows(result))
    if left:
        parts.append(f"{left} left alone")
    return ", ".join([*(parts or ["nothing to do"]), f"{result['same']} as they are"])


def plan_exit_code(result: object) -> int:
    """0: nothing to do; 3: something is; 1: it would fail."""
    assert isinstance(result, dict)
    if any(row["sign"] == "x" for row in _rows(result)):
        return EXIT_FAILED
    return EXIT_DEGRADED if result["differs"] else 0


def say_applied(result: object) -> str:
    """How much was done, and what to do about the rest."""
    assert isinstance(result, dict)
    if not result["applied"]:
        return "nothing was done: what can't be done is marked with an x"
    done = cast("list[Row]", result["done"])
    failed = [row for row in done if not row["ok"]]
    clock = cell("clock", result["clock"])
    what = f"{result['undone']} is taken back" if "undone" in result else "applied"
    if failed:
        words = f"{len(done) - len(failed)} of {len(done)} done, {len(failed)} failed"
        after = "mend it and apply again"
        if result["whole"]:
            after = "all of it was taken back"
        elif result.get("changes_wish", True):  # else all of it was wanted before
            after += f", or: zactor undo {clock}"
        return f"{words}          {after}"
    if not (result["starts"] or result["stops"] or _rows(result)):
        return f"{what} at {clock}"
    return f"{what} at {clock}: {len(done)} actor{'s' * (len(done) != 1)} started or removed"


def applied_exit_code(result: object) -> int:
    """1: something failed; 3: something was left alone that isn't as the file says."""
    assert isinstance(result, dict)
    if not result["applied"] or any(not row["ok"] for row in cast("list[Row]", result["done"])):
        return EXIT_FAILED
    left = any(row["sign"] == "!" and row["differs"] is True for row in _rows(result))
    return EXIT_DEGRADED if left else 0


def say_drained(result: object) -> str:
    """A line for each actor."""
    assert isinstance(result, dict)
    rows = cast("list[Row]", result["actors"])
    lines = [
        f"{row['done']:<8} {row['name']}" + (f" to {row['node']}" if row["done"] == "moved" else "")
        for row in rows
    ]
    stopped = sum(row["done"] == "stopped" for row in rows)
    back = f"; `zactor resume {result['node']}` brings back what stopped" if stopped else ""
    return "\n".join([*lines, f"{result['node']} is drained{back}"])


def say_resumed(result: object) -> str:
    """Who comes back, and who doesn't."""
    assert isinstance(result, dict)
    back, lost = (cast("list[str]", result[name]) for name in ("back", "lost"))
    said = f"actors may run on {result['node']} again"
    if back:
        said += f"; {', '.join(back)} come{'s' * (len(back) == 1)} back"
    if lost:
        said += f"; lost still: {', '.join(lost)} (`zactor restore NAME`)"
    return said


def say_export(result: object) -> str:
    """The file's text."""
    assert isinstance(result, dict)
    return str(result["text"])


def say_diff(result: object) -> str:
    """+ for each fact that came, - for each that went."""
    assert isinstance(result, dict)
    lines = [f"- {fact}" for fact in result["removed"]] + [f"+ {fact}" for fact in result["added"]]
    return "\n".join(lines) or "no difference"

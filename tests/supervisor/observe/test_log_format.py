from __future__ import annotations

import re

import pytest
import structlog

from zactor.kernel import limits
from zactor.supervisor.observe.log_format import (
    OTHERS_CAUSE,
    LineLimit,
    as_sentence,
    beside_sentence,
    only_text,
    stamped,
)

EVIL = "a\x1b[2J\x9b2J\u202e\nb"
EVENT = min(OTHERS_CAUSE)
BURST, BURST_S = limits.LOG_LINES_BURST, limits.LOG_BURST_MS / 1000


class Rude:
    def __repr__(self) -> str:
        return EVIL


@pytest.mark.parametrize("value", [EVIL, [EVIL], {EVIL: EVIL}, Rude(), (Rude(),), ValueError(EVIL)])
def test_no_value_of_a_line_has_control_characters(value: object) -> None:
    made = only_text(None, "info", {"event": EVIL, "value": value, EVIL: 1})
    # Renderers write a text as it is and all else by its repr.
    shown = [each if isinstance(each, str) else repr(each) for each in made.values()]
    text = "".join([*made, *shown])
    assert text.isprintable()


def test_what_is_plain_stays_as_it_is() -> None:
    plain = {"event": "told", "count": 3, "ratio": 0.5, "ok": True, "none": None, "names": ["n1"]}
    assert only_text(None, "info", dict(plain)) == plain


def test_a_traceback_keeps_its_lines_and_nothing_else() -> None:
    made = only_text(None, "info", {"event": "failed", "exception": f"one\n\t{EVIL}"})
    assert made["exception"].splitlines()[:2] == ["one", "\ta\\x1b[2J\\x9b2J\\u202e"]


@pytest.mark.parametrize("value", ["x" * 1_000_000, ["x" * 1_000_000], {"x" * 1_000_000: 1}])
def test_a_long_value_is_cut_and_its_length_told(value: object) -> None:
    made = only_text(None, "info", {"event": "told", "value": value})["value"]
    assert len(made) < limits.LOG_VALUE_CHARS_MAX + 100
    assert made.endswith(" characters)")


def test_a_flood_of_one_event_costs_few_lines_and_is_counted() -> None:
    limit = LineLimit()
    written = [limit.count(EVENT, number / 1_000) for number in range(int(3_000 * BURST_S))]
    lines = [count for count in written if count is not None]
    assert BURST * 3 <= len(lines) <= BURST * 4
    assert sum(lines) > 0
    assert len(written) - len(lines) - sum(lines) < 1_000 * BURST_S, "the last ones are told later"


def test_events_that_others_do_not_cause_are_never_left_out() -> None:
    limit = LineLimit()
    for _ in range(10 * BURST):
        assert limit(None, "info", {"event": "a user's own"}) == {"event": "a user's own"}


def test_a_line_that_is_left_out_is_dropped_and_the_next_says_how_many() -> None:
    limit = LineLimit()
    for _ in range(BURST):
        assert limit(None, "info", {"event": EVENT}) == {"event": EVENT}
    with pytest.raises(structlog.DropEvent):
        limit(None, "info", {"event": EVENT})
    other = max(OTHERS_CAUSE)
    assert limit(None, "info", {"event": other}) == {"event": other}, "each event for itself"


def test_every_event_that_others_cause_is_still_written_somewhere() -> None:
    """Else the list would go stale."""
    import re
    from pathlib import Path

    import zactor

    root = Path(zactor.__file__).parent.parent
    sources = [
        file.read_text()
        for folder in ("kernel", "supervisor")
        for file in (root / folder).rglob("*.py")
    ]
    names = set(re.findall(r'log\.\w+\(\s*"(\w+)"', "\n".join(sources)))
    names |= set(re.findall(r'return "\w+", \("(\w+)"', "\n".join(sources)))
    assert names >= OTHERS_CAUSE


def test_people_read_a_sentence_and_programs_the_fields_too() -> None:
    gone = {"event": "node_gone", "name": "n2", "why": "its process ended", "incarnation": 3}
    line = {**gone, "level": "warning", "timestamp": "now"}
    assert as_sentence(None, "warning", line) == {
        "event": "n2 is gone: its process ended",
        "level": "warning",
        "timestamp": "now",
    }
    assert beside_sentence(None, "warning", gone) == {
        **gone,
        "says": "n2 is gone: its process ended",
    }
    for other in ({"event": "told"}, {"event": "node_gone", "peer": "of another form"}):
        assert as_sentence(None, "info", other) == beside_sentence(None, "info", other) == other


def test_a_line_says_when_as_all_lists_do() -> None:
    made = stamped(None, "info", {"event": "told"})
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", made["timestamp"])

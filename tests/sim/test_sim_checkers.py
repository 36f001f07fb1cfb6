"""The checkers read what real nodes write: those lines, and no others."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from zactor.testing.group_sim import checkers, group_model, history
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.history import Line, read_logs
from zactor.testing.group_sim.run import play

_KEYS = {
    "view": ("v", "members"),
    "trans": ("v", "members"),
    "send": ("mid", "v", "service", "groups"),
    "deliver": ("mid", "v", "trans", "service"),
    "down": (),
}


def _bare(lines: list[Line]) -> list[Line]:
    """A log with the keys that the checkers may look at."""
    return [
        {"t": line["t"], "k": line["k"], "p": line["p"]} | {k: line[k] for k in _KEYS[line["k"]]}
        for line in lines
        if line["k"] in _KEYS
    ]


def test_bare_logs_in_files_are_checked_like_the_simulators(tmp_path: Path) -> None:
    lines = _bare(play(6))
    for process in sorted({line["p"] for line in lines}):
        mine = [json.dumps(line) for line in lines if line["p"] == process]
        (tmp_path / f"{process}.jsonl").write_text("\n".join(mine) + "\n", encoding="utf-8")
    read = read_logs(tmp_path)
    assert len(read) == len(lines)
    found = check_all(read)
    assert found == {}


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    whole = json.dumps({"t": 1, "p": "n1@1", "k": "up"})
    (tmp_path / "n1@1.jsonl").write_text(f'{whole}\n{{"t": 2, "p": "n1', encoding="utf-8")
    assert read_logs(tmp_path) == [json.loads(whole)]


def test_a_delivery_that_is_repeated_in_a_bare_log_is_found() -> None:
    lines = _bare(play(6))
    place = next(i for i, line in enumerate(lines) if line.get("trans") is False)
    lines.insert(place + 1, lines[place])
    assert set(check_all(lines)) & {"G2", "G12"}


def test_the_checkers_share_no_code_with_what_they_check() -> None:
    for module in (checkers, group_model, history):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert not str(node.module).startswith("zactor.kernel"), module

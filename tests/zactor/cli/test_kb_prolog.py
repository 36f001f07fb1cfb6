"""`zactor kb export --prolog` is a file that SWI-Prolog consults: it is asked questions here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end

from zactor import connect
from zactor.cli.kb import SCHEMA, export_prolog
from zactor.demos.counter import Counter
from zactor.demos.gui import Gui
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.values import Compound, Term
from zactor.kernel.knowledge.writer import format_term, to_json
from zactor.lab.lab import Lab, until

SWIPL = shutil.which("swipl")
pytestmark = pytest.mark.skipif(
    SWIPL is None, reason="swipl isn't here: apt-get install swi-prolog-nox"
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()


ODD = [
    "actor('C 1', 'it''s', 'n-1')",
    'spec(c1, \'sha256:00\', "{\\"start\\":5,\\"text\\":\\"a\\\\nb\\"}", \'m1@1#5\')',
    'state(c1, failed, "on_stop: Fehler: \\u00e4\\u20ac \\U0001f600 \\\\ \\" \' \\n\\t end")',
    "reacts(g1, [], 'a.b', {})",
    "note(-1, 1.5, 1.0e30, 123456789012345678901234567890, [a, \"b\", 'C', [1, [2]]], f(g(h)))",
    "'weird functor'(a:b, a-b, - 1, -(1), 1 - 2, (a, b), \\+ a)",
    "todo(r1, destroy_actor(c1), m1, n2)",
    "alone",
]


def export(facts: list[str]) -> str:
    rows = []
    for number, text in enumerate(facts, 1):
        term = parse_term(text)
        arguments: tuple[Term, ...] = term.args if isinstance(term, Compound) else ()
        functor = term.functor if isinstance(term, Compound) else text
        rows.append(
            {
                "fact": format_term(term),
                "functor": functor,
                "args": [to_json(each) for each in arguments],
                "clock": [1, number],
            }
        )
    return export_prolog(rows)


def ask(file: Path, goal: str) -> list[str]:
    """Consult the file in SWI-Prolog and run a goal; what it prints, line by line."""
    assert SWIPL is not None
    done = run_to_end(
        [SWIPL, "-q", "--on-error=status", "--on-warning=status", "-g", goal, "-t", "halt", file],
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def test_every_odd_fact_is_in_swi_prolog_what_it_is_here(tmp_path: Path) -> None:
    file = tmp_path / "kb.pl"
    file.write_text(export(ODD))
    for text in ODD:
        # What is written here as a term must hold there, and in no other way.
        goal = tmp_path / "goal.pl"
        goal.write_text(f":- encoding(utf8).\nholds :- {format_term(parse_term(text))}.\n")
        found = ask(file, f"consult('{goal}'), (holds -> writeln(yes) ; writeln(no))")
        assert found == ["yes"], text


def test_a_string_has_the_same_characters_there(tmp_path: Path) -> None:
    file = tmp_path / "kb.pl"
    file.write_text(export(ODD))
    term = parse_term(ODD[2])
    assert isinstance(term, Compound)
    text = term.args[2]
    assert isinstance(text, str)
    codes = ask(file, "state(c1, failed, S), string_codes(S, L), writeln(L)")
    assert codes == [str([ord(char) for char in text]).replace(" ", "")]


def test_a_goal_about_what_there_is_none_of_fails_and_does_not_raise(tmp_path: Path) -> None:
    file = tmp_path / "kb.pl"
    file.write_text(export([]))
    for functor, arity in SCHEMA:
        goal = f"functor(T, {functor}, {arity}), (call(T) -> writeln(yes) ; writeln(no))"
        assert ask(file, goal) == ["no"]


def test_a_running_cluster_is_exported_and_answers_a_question(lab: Lab) -> None:
    for name in ("n1", "n2"):
        lab.start(name)
    until("they meet", lambda: lab.names_up("n1") == lab.names_up("n2") == {"n1", "n2"})
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.deploy_actor(Counter, "c1", "n1", start=5)
        m.deploy_actor(Gui, "g1", "n1")
        m.deploy_actor(Gui, "g2", "n2")
        m.react_interaction("g1", "c1", "updateVal")
        m.react_interaction("g2", "c1", "updateVal")
        file = lab.home / "kb.pl"
        file.write_text(export_prolog(m.facts()))
    remote = "reacts(R, E, A, _), actor(E, _, N), actor(R, _, M), N \\== M"
    found = ask(file, f"forall(({remote}), format('~q ~q ~q~n', [E, A, R]))")
    assert found == ["c1 updateVal g2"]
    running = "aggregate_all(count, state(_, running, _), N), writeln(N)"
    assert ask(file, running) == ["3"]

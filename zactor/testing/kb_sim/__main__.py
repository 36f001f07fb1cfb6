"""Simulated knowledge bases from the command line.

    python -m zactor.testing.kb_sim --seed N        replay one run and print what happened
    python -m zactor.testing.kb_sim --seeds A..B    check many runs and name those that failed

Exit code 0 if every invariant held in every run, 1 if not. Many runs end with tables of what they
exercised: rows of the machines' tables, rules, and faults that really happened.
"""

from __future__ import annotations

import click

from zactor.testing.group_sim.history import Line
from zactor.testing.kb_sim.checkers import check_all
from zactor.testing.kb_sim.coverage import KbCoverage
from zactor.testing.kb_sim.rare_run import play
from zactor.testing.kb_sim.run import draw_plan
from zactor.testing.seeds import Found, run_command

_HIDDEN = ("t", "p", "k", "facts", "ids")
_SHOWN_CHARS = 200  # of one field: a change may be long


def check(seed: int, coverage: KbCoverage | None = None) -> Found:
    """Play a run and return which invariants it broke."""
    return check_all(play(seed, coverage))


def _told(line: Line) -> str:
    fields = " ".join(
        f"{name}={str(value)[:_SHOWN_CHARS]}" for name, value in line.items() if name not in _HIDDEN
    )
    return f"{line['t'] / 1e6:9.1f} ms  {line['p']:6} {line['k']:11} {fields}"


def _replay(seed: int) -> Found:
    plan = draw_plan(seed)
    roles = ", ".join(plan.roles)
    click.echo(f"seed {seed}: {roles}; {plan.faults}; {plan.kb_faults}; {plan.rare}")
    lines = play(seed)
    for line in lines:
        click.echo(_told(line))
    return check_all(lines)


@click.command()
@click.option("--seed", type=int, help="Replay this run and print what happened.")
@click.option("--seeds", metavar="A..B", help="Check these runs.")
def main(seed: int | None, seeds: str | None) -> None:
    """Play simulated clusters and check every invariant of the knowledge base."""
    coverage = KbCoverage()
    run_command(
        "zactor.testing.kb_sim",
        seed,
        seeds,
        check=lambda number: check(number, coverage),
        replay=_replay,
        tables=coverage.lines,
    )


if __name__ == "__main__":
    main()

"""Simulated clusters from the command line.

    python -m zactor.testing.group_sim --seed N        replay one run and print its space-time trace
    python -m zactor.testing.group_sim --seeds A..B    check many runs and name those that failed

Exit code 0 if every invariant held in every run, 1 if not. Many runs end with tables of the rows
and rules that they exercised.
"""

from __future__ import annotations

import click

from zactor.testing.coverage import told
from zactor.testing.engine_coverage import EngineCoverage
from zactor.testing.group_sim.checkers import check_all
from zactor.testing.group_sim.picture import picture
from zactor.testing.group_sim.run import draw_plan, play
from zactor.testing.seeds import Found, run_command


def check(seed: int, coverage: EngineCoverage | None = None) -> Found:
    """Play a run and return which invariants it broke."""
    return check_all(play(seed, coverage=coverage))


def _replay(seed: int) -> Found:
    plan = draw_plan(seed)
    lines = play(seed)
    click.echo(f"seed {seed}: {plan.node_count} nodes, {plan.faults}")
    for text in picture(lines, [f"n{index + 1}" for index in range(plan.node_count)]):
        click.echo(text)
    return check_all(lines)


@click.command()
@click.option("--seed", type=int, help="Replay this run and print its trace.")
@click.option("--seeds", metavar="A..B", help="Check these runs.")
def main(seed: int | None, seeds: str | None) -> None:
    """Play simulated clusters and check every invariant of the groups."""
    coverage = EngineCoverage()
    run_command(
        "zactor.testing.group_sim",
        seed,
        seeds,
        check=lambda number: check(number, coverage),
        replay=_replay,
        tables=lambda: told(coverage),
    )


if __name__ == "__main__":
    main()

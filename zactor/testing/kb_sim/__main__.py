"""Simulated knowledge bases from the command line.

    python -m zactor.testing.kb_sim --seed N        replay one run and print what happened
    python -m zactor.testing.kb_sim --seeds A..B    check many runs and name those that failed

Exit code 0 if every invariant held in every run, 1 if not.
"""

from __future__ import annotations

import click

from zactor.testing.group_sim.history import Line
from zactor.testing.kb_sim.checkers import check_all
from zactor.testing.kb_sim.run import draw_plan, play
from zactor.testing.seeds import Found, run_command

_HIDDEN = ("t", "p", "k", "facts", "ids")


def check(seed: int) -> Found:
    """Play a run and return which invariants it broke."""
    return check_all(play(seed))


def _told(line: Line) -> str:
    fields = " ".join(f"{name}={value}" for name, value in line.items() if name not in _HIDDEN)
    return f"{line['t'] / 1e6:9.1f} ms  {line['p']:6} {line['k']:11} {fields}"


def _replay(seed: int) -> Found:
    plan = draw_plan(seed)
    click.echo(f"seed {seed}: {', '.join(plan.roles)}; {plan.faults}; {plan.kb_faults}")
    lines = play(seed)
    for line in lines:
        click.echo(_told(line))
    return check_all(lines)


@click.command()
@click.option("--seed", type=int, help="Replay this run and print what happened.")
@click.option("--seeds", metavar="A..B", help="Check these runs.")
def main(seed: int | None, seeds: str | None) -> None:
    """Play simulated clusters and check every invariant of the knowledge base."""
    run_command("zactor.testing.kb_sim", seed, seeds, check=check, replay=_replay)


if __name__ == "__main__":
    main()

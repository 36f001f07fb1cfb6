"""Simulated knowledge bases from the command line.

    python -m zactor.testing.kb_sim --seed N        replay one run and print what happened
    python -m zactor.testing.kb_sim --seeds A..B    check many runs and name those that failed

Exit code 0 if every invariant held in every run, 1 if not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from zactor.testing.history import Line
from zactor.testing.kb_checkers import check_all
from zactor.testing.kb_sim_run import draw_plan, play

_SHOWN = 3  # violations of one invariant that are printed
_HIDDEN = ("t", "p", "k", "facts", "ids")


def check_seeds(seeds: Iterable[int]) -> dict[int, dict[str, list[str]]]:
    """Play every seed; return the violations of those that failed."""
    failed: dict[int, dict[str, list[str]]] = {}
    for seed in seeds:
        found = check_all(play(seed))
        if found:
            failed[seed] = found
    return failed


def _complain(seed: int, found: dict[str, list[str]]) -> None:
    for name, wrong in found.items():
        for words in wrong[:_SHOWN]:
            click.echo(f"seed {seed}: {name}: {words}", err=True)
        if len(wrong) > _SHOWN:
            click.echo(f"seed {seed}: {name}: … {len(wrong) - _SHOWN} more", err=True)
    click.echo(f"replay: python -m zactor.testing.kb_sim --seed {seed}", err=True)


def _told(line: Line) -> str:
    fields = " ".join(f"{name}={value}" for name, value in line.items() if name not in _HIDDEN)
    return f"{line['t'] / 1e6:9.1f} ms  {line['p']:6} {line['k']:11} {fields}"


def _seed_range(text: str) -> range:
    first, dots, last = text.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise click.BadParameter(f"{text!r} is no range of seeds: want A..B, both included")
    return range(int(first), int(last) + 1)


def _replay(seed: int) -> dict[str, list[str]]:
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
    if (seed is None) == (seeds is None):
        raise click.UsageError("want either --seed N or --seeds A..B")
    if seed is not None:
        found = _replay(seed)
        if found:
            _complain(seed, found)
        sys.exit(1 if found else 0)
    wanted = _seed_range(seeds or "")
    failed = 0
    with click.progressbar(wanted, label="seeds", file=sys.stderr) as bar:
        for number in bar:
            bad = check_seeds([number]).get(number)
            if bad:
                failed += 1
                click.echo(err=True)
                _complain(number, bad)
    click.echo(f"{len(wanted)} runs, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

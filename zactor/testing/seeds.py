"""What the simulators' command lines share: one seed is replayed, many are checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import click

_SHOWN = 3  # violations of one invariant that are printed

Found = dict[str, list[str]]
"""The violations of one run, by invariant; {}: every invariant held."""


def check_seeds(check: Callable[[int], Found], seeds: Iterable[int]) -> dict[int, Found]:
    """Return the violations of those runs that failed."""
    checked = {seed: check(seed) for seed in seeds}
    return {seed: found for seed, found in checked.items() if found}


def run_command(
    module: str,
    seed: int | None,
    seeds: str | None,
    *,
    check: Callable[[int], Found],
    replay: Callable[[int], Found],
    tables: Callable[[], list[str]] = list,
) -> None:
    """Do what the options --seed and --seeds ask for, and exit: with 1 if an invariant broke.

    Args:
        module: is named in the line that tells how to replay a run.
        check: plays a run; replay: plays it and prints what happened.
        tables: returns lines about all runs, which are printed behind many.

    Raises:
        UsageError: neither or both are given, or `seeds` is no A..B.
    """
    if (seed is None) == (seeds is None):
        raise click.UsageError("want either --seed N or --seeds A..B")
    if seed is not None:
        found = replay(seed)
        _complain(module, seed, found)
        sys.exit(1 if found else 0)
    wanted = _seed_range(seeds or "")
    failed = 0
    with click.progressbar(wanted, label="seeds", file=sys.stderr) as bar:
        for number in bar:
            found = check(number)
            if found:
                failed += 1
                click.echo(err=True)
                _complain(module, number, found)
    click.echo(f"{len(wanted)} runs, {failed} failed")
    for words in tables():
        click.echo(words)
    sys.exit(1 if failed else 0)


def _complain(module: str, seed: int, found: Found) -> None:
    for name, wrong in found.items():
        for words in wrong[:_SHOWN]:
            click.echo(f"seed {seed}: {name}: {words}", err=True)
        if len(wrong) > _SHOWN:
            click.echo(f"seed {seed}: {name}: … {len(wrong) - _SHOWN} more", err=True)
    if found:
        click.echo(f"replay: python -m {module} --seed {seed}", err=True)


def _seed_range(text: str) -> range:
    first, dots, last = text.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise click.BadParameter(f"{text!r} is no range of seeds: want A..B, both included")
    return range(int(first), int(last) + 1)

"""The knowledge base's replicas under an adversary, from the command line.

    python -m zactor.testing.replica_sim --seed N        replay one run; a failing one is made short
    python -m zactor.testing.replica_sim --seeds A..B    check many runs and name those that failed
    python -m zactor.testing.replica_sim --explore SCRIPT --bound B
                                                         all runs of three nodes up to a bound

Exit code 0 if every invariant held in every run, 1 if not. Many runs end with a table of the rules
that they exercised.
"""

from __future__ import annotations

import sys
import time

import click

from zactor.testing.coverage import told
from zactor.testing.replica_coverage import ReplicaCoverage
from zactor.testing.replica_sim.explorer import SCRIPTS, Explorer, retell
from zactor.testing.replica_sim.run import play_seed, replay
from zactor.testing.replica_sim.shrink import shrink
from zactor.testing.seeds import Found, run_command

_MODULE = "zactor.testing.replica_sim"


def _replay(seed: int, old_copies: int) -> Found:
    played = play_seed(seed, old_copies=old_copies)
    click.echo(f"seed {seed}: {played.plan}")
    actions = list(played.actions)
    if played.found:
        invariant = next(iter(played.found))  # what broke first
        actions = shrink(played.plan, actions, invariant)
        click.echo(f"{invariant}: {len(played.actions)} moves, made short to {len(actions)}:")
        replay(played.plan, actions, click.echo, until=invariant)
    else:
        replay(played.plan, actions, click.echo)
    return played.found


def _explore(script: str, bound: int) -> None:
    """Deepen up to `bound`, and exit: with 1 if an invariant broke."""
    broken = False
    for depth in range(bound + 1):
        begin = time.monotonic()
        explorer = Explorer(
            script, depth, progress=lambda words: click.echo(f"... {words}", err=True)
        )
        explored = explorer.explore()
        click.echo(f"{explored}, {time.monotonic() - begin:.1f} s")
        for invariant, words in explored.words.items():
            broken = True
            click.echo(f"{invariant}: {words}")
            if len(explored.found) == 1 or invariant == min(explored.found):
                retell(explored.found[invariant], click.echo)
        if broken:
            break
    sys.exit(1 if broken else 0)


@click.command()
@click.option("--seed", type=int, help="Replay this run and print what happened.")
@click.option("--seeds", metavar="A..B", help="Check these runs.")
@click.option("--explore", type=click.Choice(sorted(SCRIPTS)), help="Play all runs of a script.")
@click.option(
    "--bound",
    type=click.IntRange(0, 9),
    default=1,
    show_default=True,
    help="How often the adversary may interfere in one of them.",
)
@click.option(
    "--old-copies",
    type=click.IntRange(0, 9),
    default=0,
    help="So many disks go back to an older copy: more than the protocol promises to bear.",
)
def main(
    seed: int | None, seeds: str | None, explore: str | None, bound: int, old_copies: int
) -> None:
    """Play the knowledge base's replicas over an order that obeys its promises and no more."""
    if explore is not None:
        if seed is not None or seeds is not None:
            raise click.UsageError("want --explore alone, or --seed N, or --seeds A..B")
        _explore(explore, bound)
    coverage = ReplicaCoverage()
    run_command(
        _MODULE,
        seed,
        seeds,
        check=lambda number: play_seed(number, coverage, old_copies).found,
        replay=lambda number: _replay(number, old_copies),
        tables=lambda: told(coverage),
    )


if __name__ == "__main__":
    main()

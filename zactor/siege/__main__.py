"""Run a siege: `python -m zactor.siege --minutes N --seed S`; exit code 1 with violations."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from zactor.lab.lab_client import LabClient
from zactor.siege.audit import SHOWN
from zactor.siege.siege import Siege


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.2), default=5.0, help="How long (5).")
@click.option("--seed", type=int, default=0, help="Which faults come, and when (0).")
@click.option("--hosts", type=click.IntRange(3, 20), default=5, help="How many hosts (5).")
@click.option("--report", default="siege.html", help="Where the page goes (siege.html).")
@click.option("--keep", help="A folder for all event logs and the journal, for whoever looks.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(
    minutes: float, seed: int, hosts: int, report: str, keep: str | None, as_json: bool
) -> None:
    """Random faults over a lab whose nodes, groups and clients are at work; then every check."""
    with tempfile.TemporaryDirectory(prefix="zactor-siege-") as folder:
        siege = Siege(LabClient(Path(folder)), Path(folder), hosts, seed)
        try:
            siege.run(minutes * 60, lambda text: click.echo(text, err=True))
            if keep is not None:
                siege.write_out(Path(keep))
        finally:
            siege.close()
    Path(report).write_text(siege.page())
    found = siege.found
    count = sum(map(len, found.complaints.values()))
    if as_json:
        click.echo(json.dumps({"violations": found.complaints, **siege.figures, **found.counts}))
    else:
        for name, wrong in found.complaints.items():
            click.echo(f"{name}: {len(wrong)}")
            for text in wrong[:SHOWN]:
                click.echo(f"  {text}")
        for name, value in {**siege.figures, **found.counts}.items():
            click.echo(f"{name}: {value}")
        click.echo(f"seed {seed}: {count} violations, see {report}")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()

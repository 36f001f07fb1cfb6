"""Run benchmarks and show them: a table, JSON and plots against the raw limit and against peers.

    python benchmarks/run.py                            all rows
    python benchmarks/run.py a b d --cpu                these, with the CPU time of a message
    python benchmarks/run.py --peers erlang,pykka,rpyc  the peers too, in the same run
    python benchmarks/run.py --out results              results/results.json, .md, .png and .svg

A peer is a script in `benchmarks/peers`; what it needs isn't installed from here, and a peer that
isn't there is named. `--peer-python` is the Python that has them. One row runs at a time: each
wants the machine for itself. Plots need matplotlib.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROW_S = 900.0  # a script that takes longer hangs
LESS_IS_BETTER = ("µs", "us", "ms", "s", "bytes")

Row = dict[str, Any]


def scripts(letters: Sequence[str]) -> list[Path]:
    """The scripts of these rows, or all of them, in order.

    Raises:
        SystemExit: a row that there isn't.
    """
    found = {path.name.split("_")[1]: path for path in sorted(HERE.glob("bench_*.py"))}
    if unknown := sorted(set(letters) - set(found)):
        raise SystemExit(f"no row {', '.join(unknown)}: there are {', '.join(found)}")
    return [found[letter] for letter in (letters or found)]


def rows_of(command: Sequence[str], who: str) -> list[Row]:
    """Run a script; return the rows it printed, or one that says what went wrong."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=ROW_S, check=False)
    except subprocess.TimeoutExpired:
        return [{"row": who, "failed": f"took longer than {ROW_S:g} s"}]
    rows = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    if run.returncode:
        said = run.stderr.strip().splitlines()[-1:] or [f"exit {run.returncode}"]
        rows.append({"row": who, "failed": said[0]})
    return rows


def machine() -> Row:
    """What a figure depends on."""
    commit = subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": model[0] if model else platform.machine(),
        "load": round(os.getloadavg()[0], 1),
    }


def measured(options: argparse.Namespace) -> Iterator[Row]:
    """Run everything, a line of progress each; yield the rows."""
    work: list[tuple[str, list[str]]] = []
    for path in scripts(options.rows):
        text = path.read_text()
        takes_cpu = "--cpu" in text or "options(" in text
        flags = ["--cpu"] if options.cpu and takes_cpu else []
        work.append((path.stem, [sys.executable, str(path), *flags]))
    for peer in filter(None, options.peers.split(",")):
        script = HERE / "peers" / f"{peer}_peer.py"
        if not script.exists():
            known = sorted(path.stem.removesuffix("_peer") for path in HERE.glob("peers/*_peer.py"))
            raise SystemExit(f"no peer {peer}: there are {', '.join(known)}")
        work.append((peer, [options.peer_python, str(script)]))
    for number, (who, command) in enumerate(work, 1):
        print(f"[{number}/{len(work)}] {who}", file=sys.stderr, flush=True)
        yield from rows_of(command, who)


def less_is_better(unit: str) -> bool:
    """Whether a row of that unit is the better the smaller it is."""
    return re.split(r"[ /,]", unit)[0] in LESS_IS_BETTER or unit.startswith("MB of")


def table(rows: Sequence[Row]) -> str:
    """A table in Markdown: a line a row, a column for each peer."""
    ours = [row for row in rows if "peer" not in row and "failed" not in row]
    theirs = {(row["peer"], row["row"]): row for row in rows if "peer" in row}
    peers = sorted({peer for peer, _ in theirs})
    head = ["row", "zactor", "unit", "raw limit", "of raw", "CPU µs", *peers]
    lines = [head, ["---"] * len(head)]
    for row in ours:
        cells = [
            row["row"],
            f"{row['value']:,}",
            row["unit"],
            f"{row['raw']:,}",
            f"{row['ratio']:.2f}",
            str(row.get("cpu_us", "")),
        ]
        for peer in peers:
            other = theirs.get((peer, row["row"]))
            if other is None:
                cells.append("")
                continue
            value, base = row["value"], other["value"]
            ahead = base / value if less_is_better(row["unit"]) else value / base
            cells.append(f"{base:,} ({ahead:.1f} x)")
        lines.append(cells)
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    failed = [f"{row['row']} failed: {row['failed']}" for row in rows if "failed" in row]
    return "\n".join([text, *failed])


def plot(rows: Sequence[Row], base: Path) -> None:
    """Bars of each row and its peers as parts of the raw limit: `base`.png and .svg.

    Raises:
        ImportError: there is no matplotlib.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ours = [row for row in rows if "peer" not in row and "failed" not in row and row["raw"]]
    theirs = {(row["peer"], row["row"]): row for row in rows if "peer" in row}
    names = ["zactor", *sorted({peer for peer, _ in theirs})]
    width = 0.8 / len(names)
    figure, axes = plt.subplots(figsize=(max(7, len(ours) * 0.9), 4.5), layout="constrained")
    for index, name in enumerate(names):
        at, parts = [], []
        for place, row in enumerate(ours):
            shown = row if name == "zactor" else theirs.get((name, row["row"]))
            if shown is None:
                continue
            part = shown["value"] / row["raw"]
            at.append(place + (index - (len(names) - 1) / 2) * width)
            parts.append(1 / part if less_is_better(row["unit"]) else part)
        axes.bar(at, parts, width, label=name)
    axes.axhline(1, color="black", linewidth=0.8, linestyle="--", label="raw limit")
    axes.set_yscale("log")
    axes.set_xticks(range(len(ours)), [row["row"] for row in ours], rotation=45, ha="right")
    axes.set_ylabel("part of the raw limit (higher is better)")
    axes.legend(ncols=4, fontsize="small")
    for suffix in (".png", ".svg"):
        figure.savefig(base.with_suffix(suffix), dpi=130)
    plt.close(figure)


def main() -> int:
    """Print the table; exit 1 if a row failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="letters: a b c …; none: all")
    parser.add_argument("--cpu", action="store_true", help="CPU time of a message beside the rate")
    parser.add_argument("--peers", default="", help="erlang,xoscar,casty,pykka,rpyc")
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has them")
    parser.add_argument("--out", type=Path, help="a folder for results.json, .md, .png, .svg")
    options = parser.parse_args()
    about = machine()
    rows = list(measured(options))
    print(table(rows))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        results = options.out / "results.json"
        results.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
        on = f"{about['cores']} x {about['processor']}, Python {about['python']}"
        head = f"{about['at'][:10]}, {on}, commit {about['commit']}"
        results.with_suffix(".md").write_text(f"{head}\n\n{table(rows)}\n")
        try:
            plot(rows, results)
        except ImportError:
            print("no plots: they need matplotlib", file=sys.stderr)
    return int(any("failed" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())

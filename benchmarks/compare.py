"""Compare two checkouts of zactor, alternating: which rows became faster or slower.

    python benchmarks/compare.py OLD NEW b c d          folders or commits; the scripts are NEW's
    python benchmarks/compare.py v0.1 HEAD d --rounds 7

Each round runs a row with the one and then with the other, the next round the other way about, so
that what else the machine does meets both. A row is judged by the median of the ratios of the
rounds; where their spread reaches over 1, nothing is said. Figures are those of `row / raw` of the
same run where there is a raw limit. Exit code 1: a row is slower than `--worse` allows.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles

from run import ROW_S, less_is_better, scripts

HERE = Path(__file__).resolve().parent


@contextlib.contextmanager
def checkout(what: str) -> Iterator[Path]:
    """Yield a folder with that commit, or the folder itself.

    Raises:
        SystemExit: there is neither.
    """
    if Path(what).is_dir():
        yield Path(what).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="zactor-compare-") as folder:
        tree = Path(folder, "tree")
        made = subprocess.run(
            ["git", "-C", str(HERE), "worktree", "add", "--detach", "--quiet", str(tree), what],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise SystemExit(f"{what} is neither a folder nor a commit: {made.stderr.strip()}")
        try:
            yield tree
        finally:
            subprocess.run(
                ["git", "-C", str(HERE), "worktree", "remove", "--force", str(tree)], check=True
            )


@contextlib.contextmanager
def environment(tree: Path) -> Iterator[Path]:
    """Yield a Python that imports zactor from `tree`, with the libraries that this one has."""
    with tempfile.TemporaryDirectory(prefix="zactor-compare-") as folder:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        python = Path(folder, "bin", "python")
        site = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        staged = Path(folder, "staged")
        (staged / "zactor").mkdir(parents=True)
        lay_out(tree, staged / "zactor")
        ours = [path for path in sys.path if path.endswith("site-packages")]
        # In order of search: the tree, then what it needs.
        Path(site, "zactor-compare.pth").write_text("\n".join([str(staged), *ours]) + "\n")
        subprocess.run([python, "-m", "compileall", "-q", str(staged)], check=False)
        yield python


def lay_out(tree: Path, package: Path) -> None:
    """Link the folders of a checkout as they are imported."""
    for entry in sorted((tree / "zactor").iterdir()):
        (package / entry.name).symlink_to(entry)
    for room in ("kernel", "supervisor", "bundles", "demos"):
        if (tree / room).is_dir():
            (package / room).symlink_to(tree / room)


def figures(python: Path, script: Path) -> dict[str, float]:
    """What a script measured, by row; the bigger the better.

    Raises:
        SystemExit: it failed.
    """
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Not where the caller is: a folder named zactor there would hide the one to measure.
    run = subprocess.run(
        [python, script],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=ROW_S,
        check=False,
        env=bare,
    )
    if run.returncode:
        raise SystemExit(f"{script.name} with {python}: {run.stderr.strip()[-500:]}")
    found = {}
    for line in run.stdout.splitlines():
        row = json.loads(line)
        part = row["value"] / (row["raw"] or 1)
        found[row["row"]] = 1 / part if less_is_better(row["unit"]) else part
    return found


def compared(pythons: Sequence[Path], paths: Sequence[Path], rounds: int) -> dict[str, list[float]]:
    """Ratios new / old of each row, one a round; over 1 is better."""
    ratios: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for path in paths:
            print(f"[{number + 1}/{rounds}] {path.stem}", file=sys.stderr, flush=True)
            order = (0, 1) if number % 2 == 0 else (1, 0)
            got = {which: figures(pythons[which], path) for which in order}
            for row in got[0].keys() & got[1].keys():
                ratios[row].append(got[1][row] / got[0][row])
    return ratios


def verdict(ratios: Sequence[float]) -> tuple[float, float, float, str]:
    """The median, the middle half's bounds, and what that says."""
    middle = median(ratios)
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else (middle,) * 3
    said = "faster" if low > 1 else "slower" if high < 1 else "no difference seen"
    return middle, low, high, said


def main() -> int:
    """Print a line a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worse", type=float, default=0.03, help="so much slower is no failure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        pythons = [
            stack.enter_context(environment(stack.enter_context(checkout(what))))
            for what in (options.old, options.new)
        ]
        ratios = compared(pythons, scripts(options.rows), options.rounds)
    failed = False
    for row in sorted(ratios):
        middle, low, high, said = verdict(ratios[row])
        failed |= said == "slower" and middle < 1 - options.worse
        if options.json:
            print(json.dumps({"row": row, "ratios": ratios[row], "median": middle, "says": said}))
        else:
            print(f"{row:16} {middle:5.2f} x  (half of them {low:.2f} to {high:.2f})  {said}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

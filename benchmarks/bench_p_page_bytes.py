"""Row P: what the page weighs, all its files together, not compressed. Raw is its budget."""

from __future__ import annotations

from _common import report

from zactor.web.server import page_files

BUDGET_BYTES = 200_000


def main() -> None:
    """Print the row."""
    files = page_files()
    total = sum(len(file.data) for file in files.values())
    report("P page", total, "bytes", BUDGET_BYTES, files=len(files))


if __name__ == "__main__":
    main()

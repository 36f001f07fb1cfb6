"""Make build/stage: a tree of links in which zactor has the shape it has when installed.

mypy and pyright don't read setup.cfg's package_dir, so they look at this tree instead.
"""

from __future__ import annotations

import configparser
import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def mapped_folders() -> dict[str, Path]:
    """Return the top-level folder of every mapped package: {"kernel": ROOT/kernel, …}."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    folders: dict[str, Path] = {}
    for line in config["options"]["package_dir"].strip().splitlines():
        package, _, folder = (part.strip() for part in line.partition("="))
        folders[package.removeprefix("zactor.")] = ROOT / folder
    return folders


def stage(target: Path = ROOT / "build" / "stage") -> Path:
    """Rebuild the tree under `target` and return it."""
    shutil.rmtree(target, ignore_errors=True)
    package = target / "zactor"
    package.mkdir(parents=True)
    for entry in sorted((ROOT / "zactor").iterdir()):
        if entry.name != "__pycache__":
            os.symlink(entry, package / entry.name)
    for name, folder in mapped_folders().items():
        os.symlink(folder, package / name)
    return target


if __name__ == "__main__":
    print(stage())

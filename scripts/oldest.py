"""Print the oldest allowed version of every core dependency, as pip takes it: `click==8.1 …`.

setup.cfg alone says what is allowed; `make test PINS="$(scripts/oldest.py)"` tests its lower end.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FORM = re.compile(r"(?P<name>[\w.-]+)>=(?P<lower>[\d.]+),<(?P<upper>[\d.]+)")


def bounds() -> dict[str, tuple[str, str]]:
    """Return the first version that is allowed and the first that no longer is, by dependency.

    Raises:
        ValueError: a dependency lacks one of its bounds.
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    found = {}
    for line in config["options"]["install_requires"].split():
        form = _FORM.fullmatch(line)
        if form is None:
            raise ValueError(f"setup.cfg requires {line!r}: write it as name>=1.2,<3 (no spaces)")
        found[form["name"]] = (form["lower"], form["upper"])
    return found


if __name__ == "__main__":
    print(*(f"{name}=={lower}" for name, (lower, _) in bounds().items()))

"""What a bundle needs of the Python that runs it, and who made it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable


def created_by() -> str:
    """What a manifest says of who made it: no names of people or machines, which would leak."""
    try:
        return f"zactor {importlib.metadata.version('zactor')}"
    except importlib.metadata.PackageNotFoundError:
        return "zactor"


def requirements_of(modules: Iterable[str]) -> dict[str, str]:
    """Return {top-level module: version here} for what isn't Python's own or zactor's."""
    tops = {module.partition(".")[0] for module in modules}
    wanted = sorted(tops - set(sys.stdlib_module_names) - {"", "zactor", "__main__"})
    if not wanted:
        return {}
    # Reading every installed package's metadata takes 50 ms and more, so only now.
    owners = importlib.metadata.packages_distributions()
    found = {}
    for module in wanted:
        packages = owners.get(module, ())
        found[module] = importlib.metadata.version(packages[0]) if packages else ""
    return found


def is_installed(top: str) -> bool:
    """Whether Python finds a real module of that name: it comes before a folder of loose files."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def platform_of(parts: Iterable[str]) -> str:
    """Return for what platform the compiled modules among `parts` are, "" where there are none."""
    compiled = any(path.endswith((".so", ".pyd", ".dll", ".dylib")) for path in parts)
    return sysconfig.get_platform() if compiled else ""

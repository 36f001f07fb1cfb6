"""What the modules of bundles are called in sys.modules, and so in pickles.

`zactor_code_<identity of the module>.pkg.messages` is a module of however many bundles; where a
bundle's own module imports `.units`, `zactor_code_<identity>.pkg.units` leads on to that one.
`zactor_bundle_<digits of the bundle>.pkg.messages` leads to the same module: so pickles of former
versions named it.
"""

from __future__ import annotations

BUNDLE = "zactor_bundle_"
CODE = "zactor_code_"


def code_name(identity: str, module: str) -> str:
    """Return what the module `module` of that identity is called."""
    return f"{CODE}{identity}.{module}" if module else f"{CODE}{identity}"


def split_name(name: str) -> tuple[str, str]:
    """Return (identity, module as its author calls it) of a module of a bundle, else ("", name)."""
    top, _, inner = name.partition(".")
    if top.startswith(CODE):
        return top.removeprefix(CODE), inner
    return "", name


def plain_name(name: str) -> str:
    """Return what its author calls a module: without the prefix of a bundle's."""
    top, _, inner = name.partition(".")
    return inner if top.startswith((CODE, BUNDLE)) else name

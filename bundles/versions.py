"""Two versions of one class that met: who has which, in words for the log and the sender."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import structlog

from zactor.bundles import code_modules
from zactor.bundles.code_names import CODE, split_name

log = structlog.get_logger()

_VALUES_MAX = 50  # that are looked at, of one message
_BUNDLES_MAX = 3  # that are named


def other_versions(actor: object, values: Iterable[object]) -> str:
    """Return whether `values` hold instances of classes of which `actor` has another version.

    Returns: a sentence that names both, "" if there are none.
    """
    identity, _ = split_name(type(actor).__module__)
    package = code_modules.package_with(identity)
    if package is None:
        return ""
    for cls in _classes(values):
        theirs, module = split_name(cls.__module__)
        own = package.modules.get(module)
        if theirs and own is not None and own != theirs:
            return (
                f"two versions of {module}.{cls.__qualname__} meet here: the sender's is "
                f"{theirs} (of {_bundles_with(theirs)}), this actor's is {own} "
                f"(of bundle {package.bundle.manifest.name!r})"
            )
    return ""


def _classes(values: Iterable[object]) -> Iterator[type]:
    """The classes of values, and of what they hold, not deeper."""
    left = _VALUES_MAX
    for value in values:
        for each in (value, *_held(value)):
            left -= 1
            if left < 0:
                return
            yield each if isinstance(each, type) else type(each)


def _held(value: object) -> list[object]:
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)[:_VALUES_MAX]
    if isinstance(value, dict):
        return [*value, *value.values()][:_VALUES_MAX]
    fields = getattr(value, "__dict__", None)
    return list(fields.values())[:_VALUES_MAX] if isinstance(fields, dict) else []


def _bundles_with(identity: str) -> str:
    names = sorted(
        {
            repr(package.bundle.manifest.name)
            for package in code_modules.packages()
            if identity in package.modules.values()
        }
    )
    return f"bundle {', '.join(names[:_BUNDLES_MAX])}" if names else "a bundle"


def tell_of_twins(module: str, identity: str, loaded: Iterable[str]) -> None:
    """Log that a module with classes is loaded in a second version.

    Args:
        loaded: names of the modules that are there.
    """
    for name in loaded:
        other, plain = split_name(name)
        if plain == module and other not in ("", identity) and name.startswith(CODE):
            log.info(
                "module_in_two_versions",
                module=module,
                version=identity,
                of=_bundles_with(identity),
                other_version=other,
                other_of=_bundles_with(other),
            )

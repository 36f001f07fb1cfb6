"""What a pickle names of a program's own modules: by identity, wherever they lie at the reader."""

from __future__ import annotations

import importlib
import sys
from types import FunctionType, ModuleType
from typing import Any

from zactor.bundles import code_modules
from zactor.bundles.code_names import code_name, plain_name, split_name
from zactor.bundles.user_modules import (
    UserModule,
    falls_short,
    is_user_module,
    user_module,
)
from zactor.kernel.homes import HOME
from zactor.kernel.wire.unpickle import loads


def reference_to(thing: object) -> UserModule | None:
    """Return the module that a class, a function or a module can be named by, else None.

    Only where it can be found there: it is no copy, and nobody made it in a function.
    """
    module = _module_of(thing)
    return None if module is None else user_module(module)


def reference_alone(thing: object) -> UserModule | None:
    """Return the same, but only a module that stands alone."""
    module = _module_of(thing)
    if module is None or falls_short(module):
        return None
    known = user_module(module)
    return known if known is not None and known.stands_alone else None


def _module_of(thing: object) -> ModuleType | None:
    """The user's module in which a thing can be found."""
    if isinstance(thing, ModuleType):
        module: ModuleType | None = thing
    elif isinstance(thing, type | FunctionType):
        module = sys.modules.get(getattr(thing, "__module__", None) or "")
        if module is None or attribute(module, thing.__qualname__) is not thing:
            return None
    else:
        return None
    return module if module is not None and _is_the_users(module) else None


def _is_the_users(module: ModuleType) -> bool:
    """Whether it is an imported module of the user's own, and no bundle's."""
    name = module.__name__
    return (
        sys.modules.get(name) is module
        and name.partition(".")[0] not in ("__main__", "zactor")
        and not split_name(name)[0]
        and is_user_module(module)
    )


def attribute(module: object, qualname: str) -> Any:
    """Return what a dotted name means in a module, None if it isn't there; "" is the module."""
    found = module
    for step in filter(None, qualname.split(".")):
        found = getattr(found, step, None)
    return found


def code_of(identity: str, module: str, qualname: str, by_value: bytes = b"") -> Any:
    """Return what a sender means: the module of that identity, or what is in it.

    Args:
        by_value: its pickle, for who has no such module: what the sender's program runs as
            `__main__` may be in no bundle.

    Raises:
        ModuleNotFoundError: no bundle here has it; names those that have another of its name.
    """
    try:
        found: object = importlib.import_module(code_name(identity, module))
    except ModuleNotFoundError:
        if by_value:
            return loads(by_value)
        found = _installed(module)
        if found is None:
            raise ModuleNotFoundError(_other_versions(identity, module), name=module) from None
    return attribute(found, qualname)


code_of.__module__ = HOME
code_of.__name__ = code_of.__qualname__ = "_code_of"
_code_of = code_of  # as pickles name it


def _installed(module: str) -> ModuleType | None:
    """The module of a folder that both have on their path."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _other_versions(identity: str, module: str) -> str:
    others = sorted(
        {
            f"bundle {package.bundle.manifest.name!r} has version {package.modules[module]}"
            for package in code_modules.packages()
            if module in package.modules
        }
    )
    here = "; ".join(others) or "no bundle here has one"
    return (
        f"the sender's {module} is of version {identity}, {here}: declare the factory again with "
        f"what the sender has, or send plain values"
    )


def version_of(cls: type) -> str:
    """Return how messages call the version of a bundle's class, "" for any other's."""
    identity, _ = split_name(cls.__module__)
    return (
        f"{plain_name(cls.__module__)}.{cls.__qualname__} of version {identity}" if identity else ""
    )

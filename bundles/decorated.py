"""What the standard library makes for a class, as pickles: made again at the reader.

cloudpickle can't take them apart: they hold weak references, locks or nothing but C.
"""

from __future__ import annotations

import functools
import struct
import weakref
from collections.abc import Callable
from types import FunctionType, MappingProxyType
from typing import Any

from zactor.kernel.homes import HOME

_LRU = type(functools.lru_cache(lambda: None))
_OBJECT = object


def reduced(thing: object) -> tuple[Any, ...] | None:
    """Return how such a thing is pickled, None for any other."""
    if isinstance(thing, functools.singledispatchmethod):
        return _dispatching, (thing.func, _registry(thing.dispatcher), True)
    if isinstance(thing, FunctionType) and _is_dispatching(thing):
        dispatcher: Any = thing
        return _dispatching, (dispatcher.registry[_OBJECT], _registry(dispatcher), False)
    if isinstance(thing, functools.cached_property):
        return _cached, (thing.func, thing.attrname)
    if isinstance(thing, _LRU):
        parameters = thing.cache_parameters()
        return _caching, (thing.__wrapped__, parameters["maxsize"], parameters["typed"])
    if isinstance(thing, struct.Struct):
        return struct.Struct, (thing.format,)
    if isinstance(thing, MappingProxyType):
        return MappingProxyType, (dict(thing),)
    if isinstance(thing, weakref.WeakKeyDictionary | weakref.WeakValueDictionary | weakref.WeakSet):
        return type(thing), ()  # a cache: what it held lives elsewhere
    return None


def _is_dispatching(thing: FunctionType) -> bool:
    return all(
        hasattr(thing, name) for name in ("registry", "dispatch", "register", "_clear_cache")
    )


def _registry(dispatcher: Any) -> list[tuple[type, Callable[..., Any]]]:
    return [(cls, function) for cls, function in dispatcher.registry.items() if cls is not _OBJECT]


def _dispatching(
    function: Callable[..., Any],
    registry: list[tuple[type, Callable[..., Any]]],
    is_method: bool,
) -> object:
    made: Any = (functools.singledispatchmethod if is_method else functools.singledispatch)(
        function
    )
    for cls, implementation in registry:
        made.register(cls, implementation)
    return made


def _caching(function: Callable[..., Any], maxsize: int | None, typed: bool) -> object:
    return functools.lru_cache(maxsize, typed)(function)


def _cached(function: Callable[[Any], Any], name: str | None) -> object:
    made = functools.cached_property(function)
    if name is not None:
        made.__set_name__(object, name)  # it is put into a class that is there already
    return made


for _maker in (_dispatching, _caching, _cached):
    _maker.__module__ = HOME

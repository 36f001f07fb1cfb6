"""Read pickles, also those of versions that named our classes by the files they were in.

Such pickles lie on disks: classes in bundles, arguments of constructors in the knowledge base.
What was made since wire version 4 names `zactor` alone and needs nothing of this.
"""

from __future__ import annotations

import importlib
import io
import pickle
import weakref
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Final

from zactor.kernel.homes import HOME
from zactor.kernel.wire.bulky import Buffer

# The old module without `zactor.`, the names in it, `=` what they are called today. The paths stay
# as they are for ever, wherever these files go: they are what is written on disks.
_OLD: Final = """
    kernel.errors: ActorError AlreadyExists BundleRefused Buried ConfigError LocalProtocolError
    kernel.errors: MailboxFull NoSuchAction NoSuchActor NoSuchThing NotDelivered NotPrimary
    kernel.errors: NotReachable OutcomeUnknown ProtocolError Refused RemoteActionError
    kernel.errors: RemoteProtocolError ScriptError TermError TimedOut Unconfigured ZactorError
    kernel.protocol.messages: MembershipCause MembershipMessage RegularMessage
    kernel.protocol.service: Service
    kernel.runtime.actor: Actor ActorOptions action
    kernel.runtime.kernel: Kernel
    kernel.runtime.members: RoomMessage=GroupMessage
    kernel.runtime.refs: Call Reply _Ref=Ref _Unbound _rebind=_unpickle_ref
    kernel.runtime.signals: Emitter SignalPort signal
    blocking: BlockingMaster
    bundles.build: build_bundle
    cluster: BlockingCluster Cluster local
    mailbox: BlockingMailbox Mailbox
    master: connect
    support: Master
"""

# What could be reached through a module besides, by a class that holds it whole.
_HELD: Final = """
    mailbox: MembershipCause MembershipMessage RegularMessage
    master: BlockingMaster Master
"""


def _read(table: str) -> dict[tuple[str, str], str]:
    found = {}
    for line in table.strip().splitlines():
        module, _, names = line.strip().partition(":")
        for word in names.split():
            old, _, new = word.partition("=")
            found[f"{HOME}.{module}", old] = new or old
    return found


OLD_NAMES: Final = _read(_OLD)
"""(module, name) in an old pickle -> name in `zactor`. It shrinks when no disk holds the left."""

_OLD_MARK = b"zactor."  # in every pickle that names a module below zactor
_SEARCHED_MAX = 1_024  # bytes; to search more takes longer than our Unpickler, which costs 1 µs
_SUBIMPORT = ("cloudpickle.cloudpickle", "subimport")  # what cloudpickle makes of a module
SET_CLASS: Final = ("cloudpickle.cloudpickle", "_class_setstate")
"""What fills a class that came by value."""

_WHOLE: weakref.WeakSet[type] = weakref.WeakSet()  # classes that are filled, or this program's own


def loads(data: bytes, buffers: Iterable[Buffer] | None = None) -> Any:
    """Return what was pickled, as `pickle.loads` does. Only where code may run.

    Raises:
        Exception: whatever the pickle, or the code that it runs, raises.
    """
    if len(data) <= _SEARCHED_MAX and _OLD_MARK not in data:
        return pickle.loads(data, buffers=buffers)
    return _Unpickler(io.BytesIO(data), buffers=buffers).load()


def mark_whole(cls: type) -> None:
    """Note that `cls` is as it should be: what comes by value of it changes nothing any more."""
    _WHOLE.add(cls)


def set_class_once(cls: type, state: Any) -> type:
    """Fill a class that came by value, the first time only: its identity is its content."""
    if cls in _WHOLE:
        return cls
    from cloudpickle.cloudpickle import _class_setstate

    filled: type = _class_setstate(cls, state)
    _WHOLE.add(filled)
    return filled


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == _SUBIMPORT:
            return _subimport
        if (module, name) == SET_CLASS:
            return set_class_once
        first, dot, rest = name.partition(".")
        known = OLD_NAMES.get((module, first))
        if known is None:
            return super().find_class(module, name)
        return super().find_class(HOME, f"{known}{dot}{rest}")


def _subimport(name: str) -> ModuleType:
    """Return a module that a pickle holds, with all that was public in it when it was ours."""
    held = OLD_NAMES | _read(_HELD)
    public = {old: new for (module, old), new in held.items() if module == name}
    home = importlib.import_module(HOME)
    try:
        found = importlib.import_module(name)
    except ModuleNotFoundError:
        if not public:
            raise
        found = ModuleType(name, f"What was public in {name}.")
        parent, _, leaf = name.rpartition(".")
        if parent == HOME:  # as an import would do
            setattr(home, leaf, found)
    for old, new in public.items():
        if not hasattr(found, old):
            setattr(found, old, getattr(home, new))
    return found

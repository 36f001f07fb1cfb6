"""zactor: networks of interacting actors over many machines, deployed from one console."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from zactor.bundles.build import build_bundle as build_bundle
    from zactor.cluster import BlockingCluster as BlockingCluster
    from zactor.cluster import Cluster as Cluster
    from zactor.cluster import local as local
    from zactor.kernel.errors import ActorError as ActorError
    from zactor.kernel.errors import AlreadyExists as AlreadyExists
    from zactor.kernel.errors import BundleRefused as BundleRefused
    from zactor.kernel.errors import ConfigError as ConfigError
    from zactor.kernel.errors import MailboxFull as MailboxFull
    from zactor.kernel.errors import NoSuchActor as NoSuchActor
    from zactor.kernel.errors import NoSuchThing as NoSuchThing
    from zactor.kernel.errors import NotDelivered as NotDelivered
    from zactor.kernel.errors import NotPrimary as NotPrimary
    from zactor.kernel.errors import NotReachable as NotReachable
    from zactor.kernel.errors import OutcomeUnknown as OutcomeUnknown
    from zactor.kernel.errors import Refused as Refused
    from zactor.kernel.errors import RemoteActionError as RemoteActionError
    from zactor.kernel.errors import ScriptError as ScriptError
    from zactor.kernel.errors import TimedOut as TimedOut
    from zactor.kernel.errors import ZactorError as ZactorError
    from zactor.kernel.protocol.service import Service as Service
    from zactor.kernel.runtime.actor import Actor as Actor
    from zactor.kernel.runtime.actor import action as action
    from zactor.kernel.runtime.members import RoomMessage as RoomMessage
    from zactor.kernel.runtime.refs import Ref as Ref
    from zactor.kernel.runtime.refs import Reply as Reply
    from zactor.kernel.runtime.signals import signal as signal
    from zactor.mailbox import BlockingMailbox as BlockingMailbox
    from zactor.mailbox import Mailbox as Mailbox
    from zactor.mailbox import MembershipCause as MembershipCause
    from zactor.mailbox import MembershipMessage as MembershipMessage
    from zactor.mailbox import RegularMessage as RegularMessage
    from zactor.master import BlockingMaster as BlockingMaster
    from zactor.master import Master as Master
    from zactor.master import connect as connect

_ERRORS = """
    ActorError AlreadyExists BundleRefused ConfigError MailboxFull NoSuchActor NoSuchThing
    NotDelivered NotPrimary NotReachable OutcomeUnknown Refused RemoteActionError ScriptError
    TimedOut ZactorError
"""

_HOMES: dict[str, str] = {
    **dict.fromkeys(_ERRORS.split(), "zactor.kernel.errors"),
    "Actor": "zactor.kernel.runtime.actor",
    "action": "zactor.kernel.runtime.actor",
    "signal": "zactor.kernel.runtime.signals",
    "RoomMessage": "zactor.kernel.runtime.members",
    "Ref": "zactor.kernel.runtime.refs",
    "Reply": "zactor.kernel.runtime.refs",
    "Service": "zactor.kernel.protocol.service",
    "Master": "zactor.master",
    "BlockingMaster": "zactor.master",
    "connect": "zactor.master",
    "local": "zactor.cluster",
    "Cluster": "zactor.cluster",
    "BlockingCluster": "zactor.cluster",
    "Mailbox": "zactor.mailbox",
    "BlockingMailbox": "zactor.mailbox",
    "MembershipCause": "zactor.mailbox",
    "MembershipMessage": "zactor.mailbox",
    "RegularMessage": "zactor.mailbox",
    "build_bundle": "zactor.bundles.build",
}
"""Public name -> the module it is in. No name here may be a submodule's: see zactor/cluster.py."""

_INNER_ERRORS = """
    Buried LocalProtocolError NoSuchAction ProtocolError RemoteProtocolError TermError Unconfigured
"""

_PICKLED: dict[str, str] = {
    **dict.fromkeys(_INNER_ERRORS.split(), "zactor.kernel.errors"),
    "ActorOptions": "zactor.kernel.runtime.actor",
    "Kernel": "zactor.kernel.runtime.kernel",
    "Call": "zactor.kernel.runtime.refs",
    "_Unbound": "zactor.kernel.runtime.refs",
    "_unpickle_ref": "zactor.kernel.runtime.refs",
    "Emitter": "zactor.kernel.runtime.signals",
    "SignalPort": "zactor.kernel.runtime.signals",
}
"""The same for what pickles name besides: at home in zactor too (kernel/homes.py), not public."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562): `import zactor` loads no ZeroMQ."""
    home = _HOMES.get(name) or _PICKLED.get(name)
    if home is None:
        raise AttributeError(f"module 'zactor' has no attribute {name!r}")
    # Kept: each Ref in a message is unpickled by way of here.
    found = globals()[name] = getattr(importlib.import_module(home), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES} - {*_PICKLED})

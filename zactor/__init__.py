"""zactor: networks of interacting actors over many machines, deployed from one console."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from zactor.bundles.build import build_bundle as build_bundle
    from zactor.client.blocking_master import BlockingMaster as BlockingMaster
    from zactor.client.connect import connect as connect
    from zactor.client.master import Master as Master
    from zactor.cluster.local_cluster import BlockingCluster as BlockingCluster
    from zactor.cluster.local_cluster import Cluster as Cluster
    from zactor.cluster.local_cluster import local as local
    from zactor.kernel.actors.actor import Actor as Actor
    from zactor.kernel.actors.actor import action as action
    from zactor.kernel.actors.group_message import GroupMessage as GroupMessage
    from zactor.kernel.actors.options import ProcessOptions as ProcessOptions
    from zactor.kernel.actors.panel import Button as Button
    from zactor.kernel.actors.panel import Line as Line
    from zactor.kernel.actors.panel import Log as Log
    from zactor.kernel.actors.panel import Number as Number
    from zactor.kernel.actors.panel import Panel as Panel
    from zactor.kernel.actors.panel import Slider as Slider
    from zactor.kernel.actors.panel import Switch as Switch
    from zactor.kernel.actors.panel import Text as Text
    from zactor.kernel.actors.refs import Ref as Ref
    from zactor.kernel.actors.reply import Reply as Reply
    from zactor.kernel.actors.signals import signal as signal
    from zactor.kernel.errors import ActorDied as ActorDied
    from zactor.kernel.errors import ActorError as ActorError
    from zactor.kernel.errors import AlreadyExists as AlreadyExists
    from zactor.kernel.errors import AskDeadlock as AskDeadlock
    from zactor.kernel.errors import BundleRefused as BundleRefused
    from zactor.kernel.errors import ConfigError as ConfigError
    from zactor.kernel.errors import Interrupted as Interrupted
    from zactor.kernel.errors import MailboxFull as MailboxFull
    from zactor.kernel.errors import MayLose as MayLose
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
    from zactor.kernel.messages.client_sessions import MembershipCause as MembershipCause
    from zactor.kernel.messages.client_sessions import MembershipMessage as MembershipMessage
    from zactor.kernel.messages.client_sessions import RegularMessage as RegularMessage
    from zactor.kernel.messages.service import Service as Service
    from zactor.mailbox.mailbox import BlockingMailbox as BlockingMailbox
    from zactor.mailbox.mailbox import Mailbox as Mailbox

_ERRORS = """
    ActorDied ActorError AlreadyExists AskDeadlock BundleRefused ConfigError Interrupted MailboxFull
    MayLose NoSuchActor NoSuchThing NotDelivered NotPrimary NotReachable OutcomeUnknown Refused
    RemoteActionError ScriptError TimedOut ZactorError
"""

_PANEL = "Button Line Log Number Panel Slider Switch Text"

_HOMES: dict[str, str] = {
    **dict.fromkeys(_PANEL.split(), "zactor.kernel.actors.panel"),
    **dict.fromkeys(_ERRORS.split(), "zactor.kernel.errors"),
    "Actor": "zactor.kernel.actors.actor",
    "ProcessOptions": "zactor.kernel.actors.options",
    "action": "zactor.kernel.actors.actor",
    "signal": "zactor.kernel.actors.signals",
    "GroupMessage": "zactor.kernel.actors.group_message",
    "Ref": "zactor.kernel.actors.refs",
    "Reply": "zactor.kernel.actors.refs",
    "Service": "zactor.kernel.messages.service",
    "Master": "zactor.client.connect",
    "BlockingMaster": "zactor.client.connect",
    "connect": "zactor.client.connect",
    "local": "zactor.cluster.local_cluster",
    "Cluster": "zactor.cluster.local_cluster",
    "BlockingCluster": "zactor.cluster.local_cluster",
    "Mailbox": "zactor.mailbox.mailbox",
    "BlockingMailbox": "zactor.mailbox.mailbox",
    "MembershipCause": "zactor.mailbox.mailbox",
    "MembershipMessage": "zactor.mailbox.mailbox",
    "RegularMessage": "zactor.mailbox.mailbox",
    "build_bundle": "zactor.bundles.build",
}
"""Public name -> the module it is in. No name here may be a submodule's: importing that
would put the module in its place."""

_INNER_ERRORS = """
    Buried LocalProtocolError NoRoom NoSuchAction ProtocolError RemoteProtocolError TermError
    SpreadFileError Unconfigured UnfitArguments
"""

_PICKLED: dict[str, str] = {
    "SpreadError": "zactor.spread.c_memberships",
    "SpreadRefused": "zactor.spread.client_session",
    **dict.fromkeys(_INNER_ERRORS.split(), "zactor.kernel.errors"),
    "ActorOptions": "zactor.kernel.actors.options",
    "Kernel": "zactor.kernel.runtime.kernel",
    "Call": "zactor.kernel.actors.refs",
    "_Unbound": "zactor.kernel.actors.refs",
    "_unpickle_ref": "zactor.kernel.actors.refs",
    "_code_of": "zactor.bundles.references",
    "_dispatching": "zactor.bundles.decorated",
    "_cached": "zactor.bundles.decorated",
    "_caching": "zactor.bundles.decorated",
    "Emitter": "zactor.kernel.actors.emitter",
    "SignalPort": "zactor.kernel.actors.signals",
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

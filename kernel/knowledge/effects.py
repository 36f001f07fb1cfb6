"""What a Replica tells its shell to do. The shell carries effects out in their order.

The order matters: what is `Applied`, `Replaced` or `Promised` must be on disk before a later `Send`
of the same list leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.history import TransactionIds
from zactor.kernel.knowledge.theory import Fact
from zactor.kernel.protocol.messages import Change, KbMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Give `message` to the link to member `to`."""

    to: str
    message: KbMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The theory has changed: persist the change (`Store.append`) and tell the listeners."""

    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """The theory is another one: persist it (`Store.replace`) and tell the listeners."""

    # What it was at this point of the list: later effects of the same list may have changed it.
    facts: tuple[Fact, ...]
    clock: Clock
    digest: bytes
    ids: TransactionIds  # transactions that took place, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """Persist that no lower epoch will be obeyed (`Store.promise`)."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The end of a transaction submitted here: applied at all members, or why not."""

    id: str
    clock: Clock = ORIGIN  # ORIGIN where it was refused
    kind: str = ""  # class of the error, "" where it took place
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Led:
    """From now on `leader` numbers the changes; "" while nobody does."""

    leader: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Something worth a line in the log."""

    event: str
    fields: tuple[tuple[str, str], ...] = ()


Effect: TypeAlias = Send | Applied | Replaced | Promised | Decided | Led | Trace

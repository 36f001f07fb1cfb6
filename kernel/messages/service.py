"""The service levels of a message, weakest first. Source: Spread's six (SP_multicast)."""

from __future__ import annotations

import enum
import functools

from zactor.kernel.homes import at_home


@at_home
@functools.total_ordering
class Service(enum.Enum):
    """What is promised about a message's delivery and order; compare with < and >."""

    UNRELIABLE = "unreliable"
    RELIABLE = "reliable"
    FIFO = "fifo"
    CAUSAL = "causal"
    AGREED = "agreed"
    SAFE = "safe"

    def __lt__(self, other: Service) -> bool:
        return _RANK[self] < _RANK[other]

    @classmethod
    def parse(cls, text: str) -> Service:
        """Return the level called `text`, in any case.

        Raises:
            ConfigError: there is no such level.
        """
        from zactor.kernel.errors import ConfigError

        try:
            return cls(text.lower())
        except (ValueError, AttributeError):  # the latter: it is no text
            names = ", ".join(level.value for level in cls)
            raise ConfigError(f"{text!r} is no service level: want one of {names}") from None


TICKETED = frozenset({Service.CAUSAL, Service.AGREED, Service.SAFE})
"""Those with a place in the order of all."""

_RANK = {service: rank for rank, service in enumerate(Service)}

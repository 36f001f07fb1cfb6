"""Due back: to whom all signals to an actor go back, until they know that it was away.

An actor that is restarted at its place must not handle what was sent after a signal that was given
back: it would overtake that one.
"""

from __future__ import annotations

from zactor.kernel.runtime.envelope import PeerPort


class DueBack:
    """Who has got signals back, by the name of the actor that was away. Threads: all by any."""

    __slots__ = ("_ports",)

    def __init__(self) -> None:
        """Nobody."""
        self._ports: dict[str, tuple[PeerPort, ...]] = {}

    def add(self, port: PeerPort, actor: str) -> None:
        """A signal to that actor goes back to that node."""
        ports = self._ports.get(actor, ())
        if port not in ports:
            self._ports[actor] = (*ports, port)

    def remove(self, port: PeerPort, actor: str = "") -> None:
        """That node knows that the actor was away; "": of all actors, or that node is gone."""
        for name in [actor] if actor else list(self._ports):
            left = tuple(other for other in self._ports.get(name, ()) if other is not port)
            if left:
                self._ports[name] = left
            else:
                self._ports.pop(name, None)

    def concerns(self, actor: str) -> bool:
        """Whether signals to that actor go back to anybody."""
        return actor in self._ports

    def follows(self, actor: str, port: PeerPort) -> bool:
        """Whether what comes from that node comes behind a signal that was given back."""
        return any(each is port for each in self._ports.get(actor, ()))

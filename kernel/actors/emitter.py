"""Emitter: one signal of one actor object, ready to be sent: `self.updateVal.emit(3)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NoReturn, ParamSpec, SupportsIndex

from zactor.kernel.homes import at_home

P = ParamSpec("P")


class Declared:
    """Base of what declares a signal on a class: one that has the class can tell its signals."""

    __slots__ = ()


@at_home
class Emitter(Generic[P]):
    """A signal of one actor object; this very class is that of an actor made by hand.

    The emitter of an actor that runs is made by its cell, and knows who reacts.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be sent or copied, by a TypeError that says what to send instead."""
        raise TypeError("a signal of an actor can't be sent: send self.ref(self.name), or a value")

    if TYPE_CHECKING:

        def emit(self, *args: P.args, **kwargs: P.kwargs) -> None:
            """Send the signal: every actor that reacts to it does its action of that name.

            Raises:
                MailboxFull: a queue on the way is full and its policy is to refuse; all others
                    have it.
                ConfigError: the arguments can't travel to another node; nobody has it.
            """

    else:

        def emit(self, *args):  # no **kwargs: that would cost a dict for every signal
            """Nobody reacts to what was made by hand."""

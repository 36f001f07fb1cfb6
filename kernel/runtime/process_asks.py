"""Process asks: what an actor in a process of its own has asked of others, in its node.

What its action waits for is told by the process; so a ring of asks is found that goes through it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, MailboxFull, ZactorError, to_wire
from zactor.kernel.messages.actor_process import AnswerOutcome, AskFrom
from zactor.kernel.messages.actors import Failure
from zactor.kernel.runtime.askers import AwaitedAsk, Outcome, UnderWay
from zactor.kernel.wire.bulky import Bulky


class AskOwner(Protocol):
    """The actor that asks, as the node has it."""

    name: str

    def ask_for(
        self, actor: str, action: str, payload: bytes, done: Callable[[Outcome], None]
    ) -> UnderWay:
        """Ask another actor in the name of this one; returns what withdraws the ask."""
        ...

    def tell_for(self, actor: str, action: str, payload: bytes) -> None:
        """Tell another actor something in the name of this one."""
        ...

    def waits_for_ask(self, ask: AwaitedAsk | None, *, lasts: bool) -> None:
        """Its action waits for that ask, for a while already where that lasts; None: no more."""
        ...


class ProcessAsks:
    """Those that are under way. Threads: that of the shared loop."""

    def __init__(
        self,
        owner: AskOwner,
        answer: Callable[[AnswerOutcome], None],
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """Args:
        answer: sends an outcome to the process.
        post: has a call done in the shared loop; by any thread, also when that is closed.
        """
        self._owner = owner
        self._answer = answer
        self._post = post
        self._under_way: dict[int, tuple[UnderWay, tuple[str, str]]] = {}  # and what was asked
        self._awaited = 0  # number of the one that its action waits for

    def ask(self, message: AskFrom) -> None:
        """Ask another actor, or tell it something."""
        number, actor, action = message.number, message.actor, message.action
        if not number:
            self._owner.tell_for(actor, action, message.payload)
            return
        try:
            if len(self._under_way) >= limits.PROCESS_ASKS_MAX:
                most = limits.PROCESS_ASKS_MAX
                raise MailboxFull(f"{most} asks of {self._owner.name} are under way: await some")
            done = partial(self._answered, number)
            under_way = self._owner.ask_for(actor, action, message.payload, done)
            self._under_way[number] = under_way, (actor, action)
        except ZactorError as error:
            self.answer_error(number, error)

    def withdraw(self, number: int) -> bool:
        """Nobody waits for that one any more; whether it was under way."""
        under_way = self._over(number)
        if under_way is not None:
            under_way()
        return under_way is not None

    def withdraw_all(self) -> None:
        """The process is gone."""
        for number in list(self._under_way):
            self.withdraw(number)

    def waits(self, number: int, *, lasts: bool) -> None:
        """The actor's action waits for that one, as long as it is under way."""
        found = self._under_way.get(number)
        if found is None:  # it was answered meanwhile
            return
        under_way, what = found
        self._awaited = number

        def end(error: ZactorError) -> None:
            self._post(partial(self._end, number, error))

        self._owner.waits_for_ask(AwaitedAsk(what, under_way, end), lasts=lasts)

    def answer_error(self, number: int, error: ZactorError) -> None:
        """Tell the process that it came to that."""
        if number:
            self._answer(AnswerOutcome(number, b"", *to_wire(error)))

    def _over(self, number: int) -> UnderWay | None:
        found = self._under_way.pop(number, None)
        if number == self._awaited:
            self._awaited = 0
            self._owner.waits_for_ask(None, lasts=False)
        return None if found is None else found[0]

    def _end(self, number: int, error: ZactorError) -> None:
        if self.withdraw(number):
            self.answer_error(number, error)

    def _answered(self, number: int, outcome: Outcome) -> None:
        """Threads: any."""
        self._post(partial(self._pass_on, number, outcome))

    def _pass_on(self, number: int, outcome: Outcome) -> None:
        if self._over(number) is None:
            return  # it was withdrawn
        if isinstance(outcome, Failure):
            answer = AnswerOutcome(number, b"", outcome.kind, outcome.message, outcome.fields)
        elif isinstance(outcome, Bulky):
            parts = tuple(map(bytes, outcome.buffers))
            head = cast(bytes, outcome.item.payload)
            answer = AnswerOutcome(number, head, buffers=parts)
        else:
            answer = AnswerOutcome(number, outcome.payload)
        try:
            self._answer(answer)
        except ConfigError as error:  # it is too long
            self.answer_error(number, error)

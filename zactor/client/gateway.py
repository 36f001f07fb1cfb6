"""The gateway of a client's refs: arguments and results of their calls as payloads."""

from __future__ import annotations

import math
from concurrent.futures import Future
from typing import Any, cast

import structlog

from zactor.client import long_arguments
from zactor.client.checked import checked
from zactor.client.connection import Connection
from zactor.kernel import errors, limits
from zactor.kernel.actors.refs import gateway_here
from zactor.kernel.actors.reply import Reply
from zactor.kernel.messages.operations import AskActor, TellActor
from zactor.kernel.wire import payload
from zactor.kernel.wire.traced import current_context, traced

log = structlog.get_logger()

_DEPTH_MAX = 90  # of plain data; what lies deeper is pickled


class RemoteGateway:
    """Carries the calls of refs through a connection. Threads: any."""

    def __init__(
        self,
        connection: Connection,
        timeout: float | None = None,
        *,
        blocking: bool = False,
        policy: payload.Policy = "pickle",
    ) -> None:
        """`timeout` in s is for asks that bring none of their own; None: no limit.

        Args:
            policy: what arguments and results may be.
            blocking: a call waits and returns what the action returns, for programs without a loop.
        """
        self.connection = connection
        self.timeout = timeout
        self._blocking = blocking
        self._policy = policy

    def call(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Any:
        """Send an ask; return its Reply at once, or, if this blocks, what the action returns.

        Raises:
            ConfigError: the arguments can't travel.
        """
        reply = self._ask(actor, action, self.encode_message(args, kwargs), timeout)
        return reply.result() if self._blocking else reply

    def _ask(self, actor: str, action: str, arguments: bytes, timeout: float | None) -> Reply[Any]:
        reply: Reply[Any] = Reply(what=(actor, action))
        operation = checked(AskActor(actor=actor, action=action, payload=arguments, plain=False))
        limit = self.timeout if timeout is None else timeout
        try:
            seconds = math.inf if limit is None else limit
            future = long_arguments.request(self.connection, operation, seconds)
        except errors.ZactorError as error:
            reply.set_error(error)
            return reply

        def answered(future: Future[object]) -> None:
            error = future.exception()
            if error is not None:
                reply.set_error(error)
            else:
                reply.set_result(future.result(), self.read)

        future.add_done_callback(answered)
        return reply

    def tell(self, actor: str, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Send a message that nobody answers; if it can't be delivered, the log says so.

        Raises:
            ConfigError: the arguments can't travel. MailboxFull: too many requests wait.
        """
        arguments = self.encode_message(args, kwargs)
        operation = checked(TellActor(actor=actor, action=action, payload=arguments))

        def answered(future: Future[object]) -> None:
            error = future.exception()
            if error is not None:
                log.warning("tell_failed", actor=actor, action=action, reason=str(error))

        long_arguments.request(self.connection, operation).add_done_callback(answered)

    def encode(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
        """Return the arguments of a call as `encode_call` does.

        Raises:
            ConfigError: they can't travel.
        """
        return encode_call(args, kwargs, self._policy)

    def encode_message(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
        """Return the same for a message to an actor, with the caller's span, where it is in one."""
        arguments, context = self.encode(args, kwargs), current_context()
        return traced(arguments, context) if context else arguments

    def read(self, result: object) -> object:
        """Return what an action returned. It may be unpickled: only in the asking thread.

        Raises:
            RemoteProtocolError: it can't be read here.
        """
        data = result.get("payload") if isinstance(result, dict) else None
        buffers = result.get("buffers", []) if isinstance(result, dict) else []
        if not isinstance(data, bytes) or not all(isinstance(part, bytes) for part in buffers):
            raise errors.RemoteProtocolError("the node's answer holds no result")
        if data[:1] == payload.PLAIN_MARK:
            return cast(object, payload.decode_value(data, buffers, self._policy))
        # Imported here: it takes 20 ms, which who only reads plain answers needn't wait for.
        from zactor.bundles import program

        with gateway_here(self):
            return cast(object, payload.decode_value(data, buffers, self._policy, program.loads))


def encode_call(
    args: tuple[object, ...], kwargs: dict[str, object], policy: payload.Policy = "pickle"
) -> bytes:
    """Return the arguments of a call as a payload: plain data where that loses nothing.

    Raises:
        ConfigError: they can't travel, or are longer than MESSAGE_BYTES_MAX.
    """
    if policy == "data" or (is_plain(list(args)) and is_plain(kwargs)):
        encoded = payload.encode(args, kwargs, "data")
        assert isinstance(encoded, bytes)  # plain data has no parts beside it
        return encoded
    # Imported here: as in `read`.
    from zactor.bundles import program

    try:
        pickled = program.dumps([args, kwargs])
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise errors.ConfigError(f"the arguments can't be pickled: {reason}") from error
    if len(pickled) > limits.MESSAGE_BYTES_MAX:
        raise errors.ConfigError(
            f"the arguments make a message of {len(pickled)} bytes: "
            f"the limit is {limits.MESSAGE_BYTES_MAX}"
        )
    return pickled


def is_plain(value: object, depth: int = 0) -> bool:
    """Whether `value` is the same after a journey as JSON: no tuples, no NaN, no long ints."""
    kind = type(value)
    if value is None or kind in (bool, str):
        return True
    if isinstance(value, float):
        return kind is float and math.isfinite(value)
    if isinstance(value, int):
        return kind is int and -(1 << 63) <= value < 1 << 63
    if depth >= _DEPTH_MAX:
        return False
    if isinstance(value, list):
        return kind is list and all(is_plain(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return kind is dict and all(
            type(key) is str and is_plain(item, depth + 1) for key, item in value.items()
        )
    return False

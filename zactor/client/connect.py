"""`connect`, with which a program outside of the cluster gets its Master."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType

from zactor.client.blocking import wait_for
from zactor.client.blocking_master import BlockingMaster
from zactor.client.connection import Connection
from zactor.client.master import Master, Row
from zactor.kernel.homes import at_home
from zactor.kernel.wire.payload import chosen_policy

__all__ = ["BlockingMaster", "Master", "Row", "connect"]


@at_home
class connect:
    """A connection to a cluster: `async with connect() as m` awaits, `with connect() as m` blocks.

    Raises (on entering):
        NotReachable: no node answers; says how to start one.
        Refused: the node belongs to another cluster; says how to join it.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        home: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = None,
        payload: str | None = None,
        who: str = "",
    ) -> None:
        """`endpoint` is HOST or HOST:PORT of a node, None any node of `home`.

        Args:
            home: where the cluster's keys are; None: $ZACTOR_HOME or ~/.zactor.
            timeout: in s, for connecting and for each call; None: CLIENT_REQUEST_S.
            payload: "data": arguments and answers are plain data, nothing is unpickled here;
                "pickle": any object; None: $ZACTOR_PAYLOAD, else "pickle".
            who: makes changes, `user@host program`; "": this user and program.
        """
        self._payload = chosen_policy(payload)
        self._endpoint = endpoint
        self._home = home
        self._timeout = timeout
        self._who = who
        self._connection: Connection | None = None

    def _connect(self) -> Connection:
        assert self._connection is None, "a connect() is entered once"
        self._connection = Connection(self._endpoint, home=self._home, who=self._who)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def __aenter__(self) -> Master:
        try:
            connection = self._connect()
            await asyncio.wrap_future(connection.ready(self._timeout))
        except BaseException:
            self._close()
            raise
        return Master(connection, timeout=self._timeout, payload=self._payload)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def __enter__(self) -> BlockingMaster:
        try:
            connection = self._connect()
            wait_for(connection.ready(self._timeout))
        except BaseException:
            self._close()
            raise
        return BlockingMaster(connection, timeout=self._timeout, payload=self._payload)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

"""User logs: what actors log by Python's own `logging` goes where the node's log goes."""

from __future__ import annotations

import logging

import structlog

from zactor.kernel.actors.refs import GATEWAY


class UserLog(logging.Handler):
    """Brings records to the node's log, each with its level, its logger and its actor."""

    def __init__(self) -> None:
        super().__init__()
        # What a logger lets through is its own affair: here nothing is held back.
        self._wrapper = structlog.make_filtering_bound_logger(logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Threads: any."""
        try:
            fields: dict[str, object] = {"logger": record.name}
            if name := getattr(GATEWAY.get(), "name", ""):
                fields["actor"] = name
            if record.exc_info:
                fields["exc_info"] = record.exc_info
            level = min(logging.CRITICAL, max(logging.DEBUG, record.levelno // 10 * 10))
            log = structlog.wrap_logger(None, wrapper_class=self._wrapper)
            log.log(level, record.getMessage(), **fields)
        except Exception:
            self.handleError(record)


def take_user_logs() -> None:
    """From now on `logging` of this process goes to the node's log, from INFO on. Again: nothing.

    Loggers that have a level or a handler of their own keep it.
    """
    root = logging.getLogger()
    if not any(isinstance(handler, UserLog) for handler in root.handlers):
        root.addHandler(UserLog())
        root.setLevel(logging.INFO)

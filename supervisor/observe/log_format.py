"""The form of a node's log: sentences on a terminal, JSON otherwise; always on stderr.

What is worth a line to people is at info and above; what the agreement of the nodes says of itself
is debug, and told with ZACTOR_DEBUG=1.

What others call themselves and say is in it as text only, neither long nor often: the log of a
node is no way to its operator's terminal, nor to its disk.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

import structlog

from zactor.kernel import limits
from zactor.kernel.moment import moment
from zactor.kernel.printable import printable, shortened
from zactor.supervisor.observe.lasting_output import LineLogger, lasting
from zactor.supervisor.observe.sentences import SENTENCES
from zactor.supervisor.observe.speakers import heard

OTHERS_CAUSE = frozenset(
    {
        "action_failed",
        "announcement_failed",
        "another_cluster",
        "answers_dropped",
        "bundle_fetched",
        "frame_failed",
        "group_client_closed",
        "group_client_lost",
        "group_message_failed",
        "hello_refused",
        "item_dropped",
        "kb_message_refused",
        "link_redialled",
        "operation_failed",
        "peer_dropped",
        "peer_put_out",
        "peer_unreached",
        "prefetch_failed",
        "signal_malformed",
        "unexpected_item",
        "wires_refused",
    }
)
"""Events of ours that a client or a peer causes as often as it likes."""

_TRACES = ("exception", "stack")  # many lines; all else is one

_BESIDE_A_SENTENCE = ("level", "timestamp", *_TRACES, "left_out")

Fields = structlog.typing.EventDict


def configure_logs(as_json: bool | None = None) -> None:
    """Set structlog up for this process; `as_json` None: JSON unless stderr is a terminal."""
    is_terminal = sys.stderr.isatty()
    if as_json is None:
        as_json = not is_terminal
    level = logging.DEBUG if os.environ.get("ZACTOR_DEBUG") else logging.INFO
    colours = is_terminal and not os.environ.get("NO_COLOR")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=colours, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            LineLimit(),
            structlog.processors.add_log_level,
            stamped,
            structlog.processors.format_exc_info,
            only_text,
            heard,
            beside_sentence if as_json else as_sentence,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=line_loggers(sys.stderr),
        cache_logger_on_first_use=True,
    )


def line_loggers(stream: TextIO | None) -> Callable[..., LineLogger]:
    """Return what makes structlog's loggers: all of them write to the same place as `stream`."""
    logger = LineLogger(lasting(stream))
    return lambda *_: logger


def stamped(logger: structlog.typing.WrappedLogger, name: str, fields: Fields) -> Fields:
    """Say when, as all lists say it; a processor of structlog."""
    return {**fields, "timestamp": moment(time.time())}


def beside_sentence(logger: structlog.typing.WrappedLogger, name: str, fields: Fields) -> Fields:
    """Add the sentence that people would read, for programs; a processor of structlog."""
    said = _sentence(fields)
    return fields if said is None else {**fields, "says": said}


def as_sentence(logger: structlog.typing.WrappedLogger, name: str, fields: Fields) -> Fields:
    """Put it in the place of the event and its fields, for people; a processor of structlog."""
    said = _sentence(fields)
    if said is None:
        return fields
    kept = {key: fields[key] for key in _BESIDE_A_SENTENCE if key in fields}
    return {"event": said, **kept}


def _sentence(fields: Fields) -> str | None:
    template = SENTENCES.get(str(fields.get("event")))
    texts = {
        key: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        for key, value in fields.items()
    }
    try:
        return None if template is None else template.format_map(texts)
    except KeyError:  # told elsewhere, with other fields
        return None


def only_text(
    logger: structlog.typing.WrappedLogger, name: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape what a terminal would obey, and cut what is too long; a processor of structlog."""
    return {printable(key): _text(key, value) for key, value in fields.items()}


def _text(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if key in _TRACES:
        return printable(shortened(str(value), limits.LOG_TRACE_CHARS_MAX), keep="\n\t")
    if isinstance(value, str):
        return printable(shortened(value, limits.LOG_VALUE_CHARS_MAX))
    try:
        text = repr(value)  # of a text in it, escaped as Python has it
    except Exception as error:  # an actor's own class: whoever logs it goes on
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
    if len(text) > limits.LOG_VALUE_CHARS_MAX or not text.isprintable():
        return printable(shortened(text, limits.LOG_VALUE_CHARS_MAX))
    return value


class LineLimit:
    """Leaves lines out that others cause too often, and counts them; a processor of structlog.

    Of each such event, of each actor for itself, LOG_LINES_BURST lines are written in LOG_BURST_MS;
    the first one after that says how many were left out. Threads: any.
    """

    def __init__(self) -> None:
        """Nothing was written yet."""
        self._lock = threading.Lock()
        self._since_s: dict[str, float] = {}
        self._lines: dict[str, int] = {}

    def __call__(
        self,
        logger: structlog.typing.WrappedLogger,
        name: str,
        fields: structlog.typing.EventDict,
    ) -> structlog.typing.EventDict:
        """Return the line, perhaps with `left_out`, or drop it."""
        event = fields.get("event")
        if not isinstance(event, str) or event not in OTHERS_CAUSE:
            return fields
        left_out = self.count(f"{event} {fields.get('actor', '')}", time.monotonic())
        if left_out is None:
            raise structlog.DropEvent
        return {**fields, "left_out": left_out} if left_out else fields

    def count(self, event: str, now_s: float) -> int | None:
        """Count a line; return how many were left out before it, None if it is left out too."""
        with self._lock:
            left_out = 0
            if event not in self._lines and len(self._lines) >= limits.LOG_EVENTS_MAX:
                self._lines.clear()
                self._since_s.clear()
            if now_s - self._since_s.get(event, -limits.LOG_BURST_MS) > limits.LOG_BURST_MS / 1000:
                left_out = max(0, self._lines.get(event, 0) - limits.LOG_LINES_BURST)
                self._since_s[event], self._lines[event] = now_s, 0
            self._lines[event] += 1
            return left_out if self._lines[event] <= limits.LOG_LINES_BURST else None

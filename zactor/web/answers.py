"""Answers of the API: values and refusals as JSON, and the bodies of what is asked."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from zactor.kernel import errors
from zactor.kernel.printable import printable_json
from zactor.web.guard import BODY_BYTES_MAX, Refusal


def status_of(error: errors.ZactorError) -> int:
    """Return the HTTP status of an error."""
    match error:
        case errors.NoSuchThing() | errors.NoSuchActor():
            return 404
        case errors.TimedOut():
            return 504
        case errors.NotReachable() | errors.OutcomeUnknown():
            return 503
        case errors.ConfigError() | errors.ScriptError() | errors.TermError():
            return 400
    return 409


async def body_of(request: Request) -> bytes:
    """Return the body, as far as one may be long.

    Raises:
        ValueError: it is longer.
    """
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > BODY_BYTES_MAX:
            raise ValueError("too long")
    return data


def answer(value: object) -> Response:
    """Return a value as the answer."""
    text = printable_json(msgspec.json.encode(value, enc_hook=str).decode())
    return Response(text, media_type="application/json")


def problem(refusal: Refusal) -> Response:
    """Return why there is no answer."""
    body = msgspec.json.encode({"error": refusal.error, "message": refusal.message})
    return Response(body, status_code=refusal.status, media_type="application/json")


def failed(error: errors.ZactorError) -> Response:
    """Return what went wrong at a node, or with what was asked of it."""
    return problem(Refusal(status_of(error), type(error).__name__, str(error)))

"""Moment: a wall clock time as people read it, the same in every list and in every log."""

from __future__ import annotations

import time


def moment(seconds: float) -> str:
    """Return s since 1970 as local time with its zone, like `2026-03-01 16:47:53.120+01:00`."""
    local = time.localtime(seconds)
    zone = time.strftime("%z", local)
    whole = time.strftime("%Y-%m-%d %H:%M:%S", local)
    return f"{whole}.{int(seconds * 1000) % 1000:03d}{zone[:3]}:{zone[3:]}"

"""What the hub and the supervisor know of each other."""

from __future__ import annotations

"""Carries out the clauses of the knowledge base that are this node's: see duties.py.

Whoever begins a destruction writes the clause and then leaves it to what is here, so an operation
that is finished for a dead node takes the same way as one whose owner lives. Kernel thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from zactor.kernel.errors import ZactorError
from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.terms import parse_term, quote_atom, text_of
from zactor.kernel.protocol.view import NodeId as _  # noqa: F401
from zactor.supervisor import theoryview
from zactor.supervisor.duties import Roles, choose_assignee, is_mine, is_orphan, witness
from zactor.supervisor.runner import Book, Runner
from zactor.supervisor.tables import DESTROY_TODO, of_clause, todo_fact
from zactor.supervisor.theoryview import TodoRow

log = structlog.get_logger()

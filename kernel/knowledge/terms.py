"""Terms of the knowledge base: what they are, how they are read and how they are printed.

The face of `values`, `reader` and `writer`. Reading what was printed gives the term again.
"""

from __future__ import annotations

from zactor.kernel.errors import TermError
from zactor.kernel.knowledge.reader import parse_clause_line, parse_goal, parse_term
from zactor.kernel.knowledge.values import Atom, Compound, Term, Var, is_ground, variables
from zactor.kernel.knowledge.writer import (
    Json,
    format_term,
    quote_atom,
    quote_string,
    text_of,
    to_json,
)

__all__ = [
    "Atom",
    "Compound",
    "Json",
    "Term",
    "TermError",
    "Var",
    "format_term",
    "is_ground",
    "parse_clause_line",
    "parse_goal",
    "parse_term",
    "quote_atom",
    "quote_string",
    "text_of",
    "to_json",
    "variables",
]

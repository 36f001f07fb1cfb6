"""Operators: a part of SWI-Prolog's table, and the shape of its tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping

ARGUMENT = 999  # the highest priority an argument may have without parentheses
HIGHEST = 1200

COMPARISONS = frozenset({"=", "\\=", "==", "\\==", "<", ">", "=<", ">=", "=:=", "=\\="})

INFIX: Mapping[str, tuple[int, int, int]] = {  # priority of the term, of its left, of its right
    ",": (1000, 999, 1000),
    **dict.fromkeys(sorted(COMPARISONS), (700, 699, 699)),
    "+": (500, 500, 499),
    "-": (500, 500, 499),
    "*": (400, 400, 399),
    "/": (400, 400, 399),
    ":": (200, 199, 200),
}

PREFIX: Mapping[str, tuple[int, int]] = {  # priority of the term, of its argument
    "\\+": (900, 900),
    "-": (200, 200),
    "+": (200, 200),
}

_SWI_OPERATORS = r"""
    :- --> ?- | ; -> *-> := @< =.. =@= @=< @> @>= \=@= is as >:< :< . xor \/ /\ // mod rdiv << >>
    div rem divmod tdiv ** ^ \ $ ? dynamic discontiguous initialization meta_predicate
    module_transparent multifile public thread_local thread_initialization volatile table tnot
    in ins =>
"""

OPERATOR_ATOMS = frozenset(INFIX) | frozenset(PREFIX) | frozenset(_SWI_OPERATORS.split())
"""Atoms that stand in parentheses where they are operands."""

PLAIN_ATOM = re.compile(r"[a-z][a-zA-Z0-9_]*|[#$&*+\-./:<=>?@^~\\]+|!|;|\{\}")
"""Atoms that need no quotes, but for a few: see `writer.quote_atom`. '[]' isn't the empty list."""

SYMBOLS = frozenset("#$&*+-./:<=>?@^~\\")

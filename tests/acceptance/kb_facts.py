"""Prints the facts that a node knows, sorted, as JSON.

python kb_facts.py HOME ENDPOINT
"""

from __future__ import annotations

import json
import sys

from zactor import connect

with connect(sys.argv[2], home=sys.argv[1]) as m:
    print(json.dumps(sorted(str(row["fact"]) for row in m.facts())))

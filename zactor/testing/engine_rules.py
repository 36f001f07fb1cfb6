"""Tables of what engines can exercise: their machines' rows, rules of PROTOCOL.md, section 8."""

from __future__ import annotations

from zactor.kernel.groups.attempt import PROPOSER
from zactor.kernel.groups.view_agreement import MEMBER

MEMBER_ROWS = {
    f"member {phase.name}: {step.name}": f"to {after.name}"
    for phase, steps in MEMBER.items()
    for step, after in steps.items()
}
"""Of MEMBER."""

PROPOSER_ROWS = {
    f"proposer {role.name}: {progress.name}": f"to {after.name}"
    for role, steps in PROPOSER.items()
    for progress, after in steps.items()
}
"""Of PROPOSER."""

RULES = {
    "O0 packed": "several messages share a place",
    "O0 the strongest": "of several services",
    "O0a a parcel": "alone in its packet",
    "O0a in company": "with others, or messages",
    "O1 a hole": "what is behind it waits",
    "O2 a lot": "more than one ticket in a grant",
    "O3 overtakes": "RELIABLE or UNRELIABLE, while tickets are asked for",
    "O3 waits behind": "FIFO, behind what waits for its ticket",
    "O4 early": "of the view this node is ready for",
    "O4 no room": "",
    "O5 to all": "an acknowledgement",
    "O5 to the coordinator": "the same in a large view",
    "O5 the minimum": "the coordinator tells it",
    "O6 of the sender": "what is missing is asked for",
    "O6 of another holder": "",
    "O7 freed": "",
    "O8 no credit": "",
    "O8 paused": "",
    "O8 refused": "",
    "O8a behind": "a session",
    "O8a crowded": "all sessions of a node together",
    "O8a told": "to the members",
    "O8a caught up": "the same",
    "O8b held": "who would send to a full group",
    "O8b let go": "",
    "O8b dropped": "UNRELIABLE messages to who is behind",
    "O9 a member that takes nothing": "",
    "O10 without credit": "a message of the knowledge base",
    "F1 proof": "",
    "F1 a higher incarnation": "",
    "F2 stuck": "",
    "F2 newcomers wait": "for a member that is stuck",
    "F3 silent": "",
    "F4 one way": "",
    "F4 held by the other": "",
    "F5 woke late": "",
    "F6 held down": "",
    "F6 for the longest time": "",
    "F6 less the silence": "before its contact",
    "F6 no link to answer on": "",
    "F7 somebody lower to follow": "not led for that",
    "F7 no clique": "not led, as not all hear each other",
    "F8 passed over": "the lowest alive isn't followed",
    "M1 refused": "",
    "V1 own attempt given up": "for a higher ballot",
    "V1 out of reach": "",
    "V2 several cohorts": "",
    "V3 asked of a holder": "",
    "V4 an obligation of before": "beyond the cohort",
    "V5 regular": "delivered by the flush",
    "V5 transitional": "",
    "V5 beyond the gap": "by obligation",
    "V5 dropped": "by the whole cohort",
    "V6 a newcomer": "there for a time",
    "V6 a newcomer, quiet": "all hear each other",
    "V6 a member is missing": "",
    "V6 a member that can't be led": "",
    "V7 a member in another view": "",
    "V8 alone": "",
    "V9 a member dies": "during an attempt",
    "V9 outbid": "",
    "V9 silence": "",
    "V9 another's attempt": "that doesn't end",
    "G1 in the order": "a join, leave or disconnect",
    "G2 the network": "",
    "G2 undisturbed": "a group keeps its id in a new view",
    "G3 signal": "",
    "G4 after the signal": "a negative index",
}
"""By number."""

TABLES = {
    "rows of a member's table": MEMBER_ROWS,
    "rows of a proposer's table": PROPOSER_ROWS,
    "rules of the groups": RULES,
}

"""Tables of what replicas can exercise: rows of a view's table, rules of PROTOCOL.md, section 9."""

from __future__ import annotations

from zactor.kernel.replication.formation import TRANSITIONS

STEPS = {
    f"formation {phase.name}: {step.name}": f"to {after.name}"
    for phase, steps in TRANSITIONS.items()
    for step, after in steps.items()
}
"""Of TRANSITIONS."""

ROWS = {
    "any: a view": "EXCHANGING, standing said",
    "any: a view, attempt void": "an attempt is struck out as the view ends (P6)",
    "EXCHANGING: last standing, FORMING": "some may be the primary",
    "EXCHANGING: last standing, WAITING": "none may",
    "WAITING: attempt, FORMING": "a cluster is founded",
    "FORMING: attempt, recorded": "its log is what the attempt asks for, or it is no member",
    "FORMING: attempt, taken over first": "its log isn't",
    "PRIMARY: attempt, recorded": "to reshape",
    "FORMING: last attempted, regular": "formed",
    "PRIMARY: last attempted, regular": "reshaped",
    "FORMING: last attempted, transitional": "undecided",
    "PRIMARY: last attempted, transitional": "undecided reshape",
    "EXCHANGING: submission dropped": "",
    "WAITING: submission dropped": "",
    "FORMING: submission dropped": "",
    "PRIMARY: submission ordered": "",
    "undecided first: submission ordered": "after the signal, no primary before in the view",
    "undecided reshape: submission ordered": "after the signal, a primary before in the view",
}
"""Of the table of a view."""

RULES = {
    "P1 an open attempt beyond the last primary": "",
    "P2 a majority": "not all of the last primary are here",
    "P2 half with the decider": "",
    "P2 refused": "too few of the last primary",
    "P2 refused for an open attempt": "enough of the last primary, too few of an attempt",
    "P2 somebody without a disk": "a member of the last primary has no memory",
    "P2 a disk that went back": "before a primary that somebody here knows",
    "P3 by epoch": "the log that counts isn't the longest",
    "P3 by length": "",
    "P3 by name": "alike",
    "P4 started from a formed primary": "",
    "P5 settles an attempt": "a formed primary ends an earlier attempt",
    "P5 open at start": "a node starts with an attempt on disk",
    "P5 failed": "a member that never recorded it is met",
    "P6 struck out": "",
    "P6 first attempt kept": "",
    "P6 first attempt struck out later": "by who meets one that never recorded it",
    "P6 first attempt yields": "to a cluster that is met",
    "P7 a voice that is no member": "",
    "P7 a voter that is brought up later": "",
    "P7 let in": "READY",
    "P7 let out": "LEAVING",
    "P7 retired": "",
    "P8 told to found": "",
    "P8 two found": "in one view",
    "P9 strangers": "",
    "P9 by its log": "who has taken over a history, and has no vote",
    "P11 another number": "an attempt that is dropped",
    "P11 out of reach": "a member that names an epoch far ahead",
    "P13 forgotten": "who never returns blocks those who are left",
    "P13 a first attempt fails": "as a member of it is gone for good",
    "P14 no room": "a disk has none for a write",
    "P14 begun anew": "by a view without a primary",
    "P14 given up": "an attempt, as it waits for who has no room",
    "P14 frozen": "the same after the signal",
    "P14 let out": "of the primary",
    "P14 let in again": "when it has room",
    "P14 the primary waits": "the others don't decide it",
    "P14 the disk is brought up": "it has room again",
    "P10 silent": "a held node is in a view",
    "P10 begun": "",
    "D1 in the regular configuration": "",
    "D1 after the signal": "",
    "D2 a majority decides": "before all have it on disk",
    "D2 held back by an attempt": "what follows an attempt under way waits",
    "D3 applied": "",
    "D3 refused": "",
    "D4 told when all have applied it": "",
    "D4 told outside the primary": "",
    "D5 an older epoch decided": "an entry of an earlier primary",
    "D6 a tail outlives its view": "",
    "D6 a tail is cut": "",
    "D7 read": "",
    "D7 read again": "its primary was lost",
    "D8 NotPrimary": "",
    "D8 OutcomeUnknown": "",
    "D8 sent again": "under the same id",
    "D9 failed disk": "",
    "D10 a fork": "",
    "D10 told of a fork": "",
    "D10 outvoted": "who is stops",
    "T1 changes": "",
    "T1 snapshot": "",
    "T1 more than one piece": "",
    "T1 asked by an observer": "",
    "T1 kept when the view ends": "",
    "T2 kept meanwhile": "",
    "T2 ready": "",
}
"""By number."""

TABLES = {
    "steps of the table of a view": STEPS,
    "rows of the table of a view": ROWS,
    "rules of the knowledge base": RULES,
}

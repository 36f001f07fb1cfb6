"""The commands about what should be there: plan, apply, export, undo, diff."""

from __future__ import annotations

from zactor.commands import desired_actions as actions
from zactor.commands.command import Command, Kind, Parameter


def _flag(name: str, help: str) -> Parameter:
    return Parameter(
        name=name, kind=Kind.FLAG, option=f"--{name.replace('_', '-')}", needed=False, help=help
    )


_HOW_FAR = (
    _flag("no_prune", "leave what the file made and no longer names"),
    _flag("remove_all", "also if that is more than half of what the file made"),
    _flag("adopt", "take over what was made by hand"),
    _flag("anyway", "also wires and arguments that the classes of actors don't have"),
)
_YES = _flag("yes", "don't ask")

DESIRED: tuple[Command, ...] = (
    Command(
        words="plan",
        help="What FILE (lab.toml) would change. Exit code 3: something; 1: it would fail.",
        more="Nothing changes. Without FILE the network is compared with the file that was applied"
        " last. The signs: + add, ~ change, - remove, ! not this file's, x can't be done.",
        act=actions.plan,
        parameters=(
            Parameter(name="file", kind=Kind.FILE, needed=False, help="lab.toml, or - for stdin"),
            _flag("all", "show also what is as it should be"),
            Parameter(
                name="output",
                kind=Kind.TEXT,
                option="--output",
                short="-o",
                needed=False,
                help="keep the plan in this file: `apply` of it does exactly that, or nothing",
            ),
            *_HOW_FAR,
        ),
        terms=(("plan", ("file",), 1),),
        say=actions.say_plan,
        exit_code=actions.plan_exit_code,
    ),
    Command(
        words="apply",
        help="Make the network as FILE (lab.toml) says, in one transaction.",
        more="Then it waits until each actor runs. Exit code 1: one failed, the others run. 3: "
        "something made by hand differs and was left alone. 6: something changed meanwhile, and "
        "nothing was done.",
        act=actions.apply,
        parameters=(
            Parameter(name="file", kind=Kind.FILE, help="lab.toml, a kept plan, or - for stdin"),
            _YES,
            Parameter(
                name="check",
                kind=Kind.TEXT,
                option="--check",
                needed=False,
                help="only if nothing that it is about has changed since this clock",
            ),
            *_HOW_FAR,
            _flag("whole", "take all of it back if an actor doesn't start"),
            _flag("no_wait", "don't wait until the actors run"),
        ),
        terms=(("apply", ("file", "yes"), 1),),
        say=actions.say_applied,
        exit_code=actions.applied_exit_code,
        limited=False,
    ),
    Command(
        words="drain",
        help="Let no actor run on NODE: those there move where they may run, or stop.",
        more="They stop one after the other, the youngest first. What stops is lost until"
        " `zactor resume NODE`; what is kept comes back then by itself. It goes on"
        " if you don't wait. Like: zactor drain n2 --deadline 30",
        act=actions.drain,
        parameters=(
            Parameter(name="name", kind=Kind.NODE),
            Parameter(
                name="deadline",
                kind=Kind.SECONDS,
                option="--deadline",
                needed=False,
                help="after so many seconds what is left stops at once",
            ),
        ),
        terms=(("drainNode", ("name", "deadline"), 1),),
        say=actions.say_drained,
        limited=False,
    ),
    Command(
        words="resume",
        help="Let actors run on NODE again, after `zactor drain NODE`.",
        act=lambda session, values: session.master.resume(str(values["name"])),
        parameters=(Parameter(name="name", kind=Kind.NODE),),
        terms=(("resumeNode", ("name",), 1),),
        say=actions.say_resumed,
    ),
    Command(
        words="export",
        help="The network as a file for `plan` and `apply`, what was made by hand included.",
        act=actions.export,
        parameters=(
            Parameter(
                name="name",
                kind=Kind.TEXT,
                needed=False,
                help="of the file, where several were applied",
            ),
        ),
        say=actions.say_export,
    ),
    Command(
        words="undo",
        help="Take the change at CLOCK back: an apply, a wire or a factory.",
        act=actions.undo,
        parameters=(
            Parameter(name="clock", kind=Kind.TEXT, help="like 3.17, see `zactor kb log`"),
            _YES,
        ),
        say=actions.say_applied,
        exit_code=actions.applied_exit_code,
        limited=False,
    ),
    Command(
        words="diff",
        help="The facts that came and went since CLOCK, or between two clocks.",
        act=actions.diff,
        parameters=(
            Parameter(name="clock", kind=Kind.TEXT, help="like 3.17"),
            Parameter(name="until", kind=Kind.TEXT, needed=False, help="another, else now"),
        ),
        say=actions.say_diff,
    ),
)

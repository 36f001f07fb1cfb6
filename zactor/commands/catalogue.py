"""The catalogue of commands: what the shell, the console and script files can all say."""

from __future__ import annotations

from collections.abc import Iterator

from zactor.commands import actions
from zactor.commands.code_commands import CODE
from zactor.commands.command import Command, Kind, Parameter
from zactor.commands.desired_commands import DESIRED
from zactor.kernel.errors import ScriptError

# -- the table -------------------------------------------------------------------------------
_REACT = ("reactor", "emitter", "action", "service", "meanwhile")
_SAY = ("actor", "action", "arguments")
_PORT = Parameter(name="port", kind=Kind.PORT, help="EMITTER.ACTION, like g1.inc")
_NODE = ("name", "role", "state", "address", "incarnation", "actors", "clock", "since")
_REACTOR = Parameter(
    name="reactor", kind=Kind.REACTOR, help="r1, or r1.store where its action has another name"
)
_ANYWAY = Parameter(
    name="anyway",
    kind=Kind.FLAG,
    option="--anyway",
    needed=False,
    help="also what the actor's class doesn't have, or doesn't take",
)
_SEND = (
    Parameter(name="actor", kind=Kind.ACTOR),
    Parameter(name="action", kind=Kind.TEXT),
    Parameter(
        name="arguments",
        kind=Kind.JSON,
        needed=False,
        many=True,
        help="each is JSON if it parses, else a string",
    ),
    _ANYWAY,
)
_OF_NODE = Parameter(
    name="node", kind=Kind.NODE, option="--node", needed=False, help="only those of NODE"
)
_LAST = Parameter(name="count", kind=Kind.COUNT, option="-n", needed=False, help="only the last N")
_GOAL = Parameter(name="goal", kind=Kind.GOAL, help='like "actor(X, counter, n1)"')

_I_KNOW = Parameter(
    name="i_know",
    kind=Kind.FLAG,
    option="--i-know",
    needed=False,
    help="what may be lost by it, as it is told without this",
)

COMMANDS: tuple[Command, ...] = (
    Command(
        words="declare-node",
        help="Name the node that runs at an address.",
        act=actions.declare_node,
        parameters=(
            Parameter(name="name", kind=Kind.NODE),
            Parameter(name="address", kind=Kind.TEXT, help="HOST or HOST:PORT"),
        ),
        terms=(
            ("declareNode", ("name", "address"), 2),
            ("declarePhysicalNode", ("name", "address"), 2),
        ),
        say=actions.sentence("{name} is the node at {address}"),
    ),
    Command(
        words="forget",
        help="Say that NAME isn't wanted any more: a lost actor, or a node that is dead for good.",
        more="Of a node its disk is dead too: nothing waits for it, and what was lost with it "
        "isn't wanted either (`restore` it elsewhere before). Where something may be lost by it "
        "this is told, with exit code 7, and nothing is done without --i-know. Exit code 3: done, "
        "but changes aren't taken still.",
        act=actions.forget,
        parameters=(
            Parameter(name="name", kind=Kind.ACTOR, help="of a lost actor, or of a node"),
            _I_KNOW,
        ),
        terms=(("forget", ("name", "i_know"), 1),),
        say=actions.say_forgotten,
        exit_code=actions.still_waits,
    ),
    Command(
        words="recover",
        help="Have the nodes that NODE sees take changes, though they are too few.",
        more="They become a cluster of their own, with the history they have: who is missing can "
        "join it later only without its state folder. Without --i-know this tells what may be "
        "lost, with exit code 7, and does nothing.",
        act=actions.recover,
        parameters=(Parameter(name="node", kind=Kind.NODE), _I_KNOW),
        terms=(("recover", ("node", "i_know"), 1),),
        say=actions.say_recovered,
    ),
    *CODE,
    Command(
        words="deploy",
        help="Create the actor NAME of TYPE on NODE.",
        act=actions.deploy,
        parameters=(
            Parameter(name="type", kind=Kind.TYPE),
            Parameter(name="name", kind=Kind.TEXT),
            Parameter(name="node", kind=Kind.NODE),
            Parameter(
                name="arg",
                kind=Kind.PAIR,
                option="--arg",
                needed=False,
                many=True,
                help="K=JSON, an argument of its constructor",
            ),
            Parameter(
                name="restart",
                kind=Kind.TEXT,
                option="--restart",
                needed=False,
                help="permanent: whenever it ends; transient: when it raises, or its node died; "
                "temporary: never",
            ),
            Parameter(
                name="intensity",
                kind=Kind.TEXT,
                option="--intensity",
                needed=False,
                help='like "3 in 10s": more restarts than that, and it has failed',
            ),
            Parameter(
                name="install",
                kind=Kind.FLAG,
                option="--install",
                needed=False,
                help="install what its requirements.txt, pyproject.toml or script header asks for,"
                " in an environment in which it gets a process of its own",
            ),
        ),
        terms=(("deployActor", ("type", "name", "node", "arg"), 3),),
        say=actions.sentence("{name}: {type} on {node}"),
    ),
    Command(
        words="restore",
        help="Deploy lost actors again as they were ordered: type, arguments and wires.",
        more="Exit code 3: some are lost still.",
        act=actions.restore,
        parameters=(
            Parameter(name="names", kind=Kind.ACTOR, needed=False, many=True),
            Parameter(
                name="all",
                kind=Kind.FLAG,
                option="--all",
                needed=False,
                help="all that are lost",
            ),
            Parameter(
                name="on",
                kind=Kind.NODE,
                option="--on",
                needed=False,
                help="where (each on the node that it was on)",
            ),
        ),
        say=actions.say_restored,
        exit_code=actions.lost_still,
    ),
    Command(
        words="destroy",
        help="Drop the references to an actor, let it finish its work, then end it.",
        act=actions.destroy,
        parameters=(
            Parameter(name="name", kind=Kind.ACTOR),
            Parameter(
                name="todo",
                kind=Kind.FLAG,
                option="--todo",
                needed=False,
                help="write a todo first, so that another node finishes if the master dies",
            ),
            Parameter(
                name="drain",
                kind=Kind.SECONDS,
                option="--drain",
                needed=False,
                help="how long it may go on working through its mailbox (until it is done)",
            ),
        ),
        terms=(("destroyActor", ("name", "todo"), 1),),
        limited=False,
        say=actions.say_destroyed,
    ),
    Command(
        words="wire",
        help="From now on REACTOR does ACTION when EMITTER sends that signal.",
        more="Like `zactor wire g1.inc c1`; `zactor wire s1.reading r1.store` where signal and "
        "action have different names. What the classes don't have is refused, exit code 5, and "
        "what doesn't fit, exit code 2.",
        act=actions.wire,
        parameters=(
            _PORT,
            _REACTOR,
            Parameter(
                name="service",
                kind=Kind.SERVICE,
                option="--service",
                needed=False,
                help="unreliable, reliable, fifo (default), causal, agreed or safe",
            ),
            Parameter(
                name="meanwhile",
                kind=Kind.MEANWHILE,
                option="--meanwhile",
                needed=False,
                help="of signals while REACTOR is away: drop (default), hold:N (N of them wait), or"
                " block (EMITTER waits)",
            ),
            _ANYWAY,
        ),
        terms=(("remoteReactInteraction", _REACT, 3), ("reactInteraction", _REACT, 3)),
        say=actions.say_wired,
    ),
    Command(
        words="unwire",
        help="End an interaction.",
        act=actions.unwire,
        parameters=(_PORT, _REACTOR),
        terms=(("removeInteraction", _REACT[:3], 3),),
        say=actions.say_unwired,
    ),
    Command(
        words="signal",
        help="Make ACTOR emit ACTION.",
        act=actions.signal,
        parameters=_SEND,
        terms=(("sendSignal", _SAY, 2), ("signal", _SAY, 2)),
        say=actions.say_signal,
    ),
    Command(
        words="tell",
        help="Send one message to ACTOR and don't wait for its answer.",
        act=actions.tell,
        parameters=_SEND,
        terms=(("tell", _SAY, 2),),
        say=actions.sentence(""),
    ),
    Command(
        words="ask",
        help="Send one message to ACTOR and print its reply as JSON.",
        more="What JSON can't say is a string in a reply: NaN, Infinity and -Infinity, an integer "
        "of more than 64 bits, an object.",
        act=actions.ask,
        parameters=_SEND,
        terms=(("ask", _SAY, 2),),
    ),
    Command(
        words="nodes",
        help="The nodes, configured or not.",
        act=lambda session, values: session.master.nodes(),
        columns=(*_NODE, "labels", "drained"),
    ),
    Command(
        words="ps",
        help="The actors.",
        act=lambda session, values: session.master.actors(),
        columns=("name", "type", "node", "state", "since", "bundle", "reason"),
    ),
    Command(
        words="wires",
        help="The interactions.",
        act=lambda session, values: session.master.wires(),
        columns=("emitter", "action", "reactor", "service", "meanwhile", "state", "since"),
    ),
    Command(
        words="factories",
        help="The types of actors and their bundles.",
        act=lambda session, values: session.master.factories(),
        columns=("type", "bundle"),
    ),
    Command(
        words="status",
        help="How the cluster is. Exit code 3: degraded.",
        act=lambda session, values: session.master.status(),
        exit_code=actions.degraded,
    ),
    Command(
        words="query",
        help="Solutions of a goal in the knowledge base, or yes, or no.",
        act=actions.query,
        parameters=(_GOAL,),
        terms=(("query", ("goal",), 1),),
        say=actions.say_solutions,
    ),
    Command(
        words="kb query",
        help="Solutions of a goal in the knowledge base, or yes, or no.",
        act=actions.query,
        parameters=(_GOAL,),
        say=actions.say_solutions,
    ),
    Command(
        words="wait",
        help="Wait until a goal holds. Exit code 124: it didn't in time.",
        act=actions.wait,
        parameters=(
            _GOAL,
            Parameter(
                name="seconds",
                kind=Kind.SECONDS,
                needed=False,
                help=f"for how long: --timeout, else {actions.WAIT_S:g}",
            ),
        ),
        terms=(("wait", ("goal", "seconds"), 1),),
        say=actions.say_solutions,
        limited=False,
    ),
    Command(
        words="sleep",
        help="Do nothing for some seconds.",
        act=actions.sleep,
        parameters=(Parameter(name="seconds", kind=Kind.SECONDS),),
        terms=(("sleep", ("seconds",), 1),),
        say=actions.sentence(""),
        cli=False,
        limited=False,
    ),
    Command(
        words="kb facts",
        help="The facts of the knowledge base.",
        act=actions.facts,
        parameters=(
            Parameter(
                name="at",
                kind=Kind.TEXT,
                option="--at",
                needed=False,
                help="a clock like 3.17: as they were then",
            ),
        ),
        say=actions.say_facts,
    ),
    Command(
        words="kb log",
        help="The changes of the knowledge base, oldest first.",
        act=lambda session, values: session.master.log(),
        columns=("clock", "at", "who", "why", "asserted", "retracted"),
    ),
    Command(
        words="group list",
        help="The groups of programs and actors.",
        act=lambda session, values: session.master.look("groups"),
        columns=("group", "members"),
    ),
    Command(
        words="group members",
        help="Who is in a group, in the group's order.",
        act=lambda session, values: session.master.look("group", str(values["group"])),
        parameters=(Parameter(name="group", kind=Kind.TEXT),),
        columns=("member", "session", "node"),
    ),
    Command(
        words="why",
        help="Who wrote the facts that mention NAME, when and why; also those that are gone.",
        act=actions.why,
        parameters=(Parameter(name="name", kind=Kind.ACTOR, help="of an actor, a node, anything"),),
        terms=(("why", ("name",), 1),),
        say=actions.say_why,
        verdict=actions.why_verdict,
    ),
    Command(
        words="deadletters",
        help="Messages that could not be delivered, of all nodes, with the reason.",
        act=actions.dead_letters,
        parameters=(_OF_NODE, _LAST),
        columns=("at", "sender", "target", "action", "reason", "node"),
    ),
    Command(
        words="failures",
        help="Actions that raised, of all nodes: who, what, and where in its code.",
        act=actions.failures,
        parameters=(_OF_NODE, _LAST),
        columns=("at", "node", "actor", "action", "error", "where"),
    ),
    Command(
        words="doctor",
        help="Check what can be checked. Exit code 3: something is wrong.",
        more="--network: from here to each node, too: its door reached, round trip, losses, size of"
        " packets, clock.",
        act=actions.doctor,
        parameters=(
            Parameter(
                name="network",
                kind=Kind.FLAG,
                option="--network",
                needed=False,
                help="what the network from here does, too",
            ),
        ),
        columns=("node", "ok", "check", "detail"),
        verdict=actions.doctor_verdict,
        exit_code=actions.unhealthy,
    ),
    *DESIRED,
)


def find_words(words: str) -> Command:
    """Return the command spelled `words` in the shell.

    Raises:
        ScriptError: there is none.
    """
    for command in COMMANDS:
        if command.words == words:
            return command
    raise ScriptError(f"{words!r} is no operation: `help` lists them")


def term_spellings() -> Iterator[tuple[str, Command, tuple[str, ...], int]]:
    """Yield (functor, command, argument names, how many are needed) of every term."""
    for command in COMMANDS:
        for functor, names, needed in command.terms:
            yield functor, command, names, needed

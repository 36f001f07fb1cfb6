"""`zactor group`: which groups there are, who is in them, and their messages, sent and heard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from zactor.cli.common import (
    CONTEXT,
    Asking,
    Settings,
    ShellGroup,
    deadline,
    say,
    settings,
    shared_options,
)
from zactor.cli.from_catalogue import TIMEOUT_S, shell_command
from zactor.cli.group_lines import GroupLines
from zactor.cli.watching import while_somebody_reads
from zactor.commands.catalogue import find_words
from zactor.kernel.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from zactor.kernel.messages.client_sessions import MembershipMessage, RegularMessage
    from zactor.mailbox.mailbox import Mailbox


def open_box(given: Settings, name: str) -> Mailbox:
    """Return a mailbox at the node that the options mean, to be entered."""
    from zactor.client.endpoints import parse_endpoint
    from zactor.mailbox.mailbox import Mailbox

    if given.endpoint is not None:
        parse_endpoint(given.endpoint)  # wrong usage is told before anything is opened
    return Mailbox(name, given.endpoint, home=given.home_folder, timeout=given.timeout)


# -- send ------------------------------------------------------------------------------------
def _send(group: str, text: str, service: str, name: str) -> None:
    from zactor.cli.output import to_json
    from zactor.kernel.messages.service import Service

    context = click.get_current_context()
    given = settings(context)
    level = Service.parse(service)
    limit = given.timeout if text == "-" else given.timeout or TIMEOUT_S
    count = 0
    try:
        with deadline(limit), open_box(given, name) as box:
            for payload in _payloads(text):
                box.multicast(group, payload, service=level)
                count += 1
            box.flush()
    except KeyboardInterrupt:
        say("interrupted: it may still be done", err=True)
        context.exit(EXIT_INTERRUPTED)
    if given.json:
        say(to_json({"sent": count}))


def _payloads(text: str) -> Iterator[bytes]:
    if text != "-":
        yield text.encode("utf-8", "surrogateescape")
        return
    for line in sys.stdin.buffer:
        yield line.removesuffix(b"\n")


_NAME = ("--name", "name")
_NAME_HELP = "Call itself so, instead of a name that the node makes up."

send = Asking(
    "send",
    callback=_send,
    params=[
        click.Argument(["group"]),
        click.Argument(["text"]),
        click.Option(
            ["--service"],
            default="agreed",
            help="unreliable, reliable, fifo, causal, agreed (default) or safe.",
        ),
        click.Option(_NAME, default="", help=_NAME_HELP),
    ],
    help="Send TEXT to a group, of which one need not be a member, or to a private group.\n\n"
    "With - as TEXT each line of stdin is a message. It ends when the node has them all: they "
    "then reach all members that stay connected.",
    context_settings=CONTEXT,
)


# -- listen ----------------------------------------------------------------------------------
def _listen(group: str, count: int | None, name: str) -> None:
    from zactor.cli.output import to_json
    from zactor.kernel.messages.client_sessions import RegularMessage

    given = settings(click.get_current_context())
    left = count
    lines = GroupLines(verbose=given.verbose)
    with while_somebody_reads(), deadline(given.timeout), open_box(given, name) as box:
        box.join(group)
        for message in box:
            if given.json:
                say(to_json(as_data(message), indent=False))
            elif line := lines.line(message):
                say(line)
            sys.stdout.flush()
            if left is not None and isinstance(message, RegularMessage):
                left -= 1
                if left == 0:
                    return


def as_data(message: RegularMessage | MembershipMessage) -> dict[str, object]:
    """Return what --json prints of a message; a payload that is no UTF-8 as hexadecimal digits."""
    from zactor.kernel.messages.client_sessions import RegularMessage

    if not isinstance(message, RegularMessage):
        return {
            "kind": "membership",
            "group": message.group,
            "cause": message.cause.value,
            "transitional": message.transitional,
            "members": list(message.members),
            "changed": message.changed,
            "vs_sets": [list(part) for part in message.vs_sets],
            "own_set": message.own_set,
            "id": message.id,
        }
    try:
        payload = {"text": message.payload.decode()}
    except UnicodeDecodeError:
        payload = {"hex": message.payload.hex()}
    return {
        "kind": "message",
        "sender": message.sender,
        "groups": list(message.groups),
        "service": message.service.value,
        **payload,
        "mess_type": message.mess_type,
        "discard": message.discard,
        "transitional": message.transitional,
        "id": message.id,
    }


listen = Asking(
    "listen",
    callback=_listen,
    params=[
        click.Argument(["group"]),
        click.Option(
            ["-n", "--count"], type=click.IntRange(min=1), help="End after so many messages."
        ),
        click.Option(_NAME, default="", help=_NAME_HELP),
    ],
    help="Join a group and print its messages and who comes and goes, until Ctrl-C.\n\n"
    "With --json one object per line.",
    context_settings=CONTEXT,
)


# -- the family ------------------------------------------------------------------------------
def _list() -> None:
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        context.invoke(_LIST)


_LIST = shell_command(find_words("group list"), "list")

group = ShellGroup(
    "group",
    help="Groups of programs and actors: who is in them, and their messages.\n\n"
    "Without a command: which groups there are.",
    callback=_list,
    invoke_without_command=True,
    context_settings=CONTEXT,
    params=shared_options("home", "endpoint", "json", "timeout"),
    commands=[_LIST, shell_command(find_words("group members"), "members"), send, listen],
)

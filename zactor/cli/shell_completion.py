"""`zactor completion`: what bash, zsh and fish offer for TAB, names of the cluster included."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from zactor.cli.common import CONTEXT, ShellCommand, say
from zactor.kernel.errors import ConfigError

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ZACTOR_COMPLETE"


def _completion(shell: str) -> None:
    from zactor.cli.root import cli

    found = get_completion_class(shell)
    if found is None:
        raise ConfigError(f"no completion for {shell}: want one of {', '.join(SHELLS)}")
    say(found(cli, {}, "zactor", VARIABLE).source().rstrip())


completion = ShellCommand(
    "completion",
    callback=_completion,
    params=[click.Argument(["shell"], type=click.Choice(SHELLS))],
    help="Print what a shell sources so that TAB completes commands, options, and the names of "
    "actors, nodes, types, signals and actions.\n\n"
    '\b\nbash:  eval "$(zactor completion bash)"      in ~/.bashrc\n'
    'zsh:   eval "$(zactor completion zsh)"       in ~/.zshrc\n'
    "fish:  zactor completion fish | source       in ~/.config/fish/config.fish",
    context_settings=CONTEXT,
)
completion.shared = ()  # it asks nobody

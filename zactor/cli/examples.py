"""Examples: for each command a line or two as one types them, which its -h shows."""

from __future__ import annotations

import click

_TEXT = """
node --name n1
node --name n2 --bind 0.0.0.0 --join 10.0.4.11 --metrics 9100
master
master lab.zs
up -n 3
up lab.toml --web
down
spread -c spread.conf
lab up 5
lab cable h2 out
lab clock h1 3600
lab crash h3
lab cut h1,h2 / h3
lab delay 20~5 h1 h2
lab disk h2 full
lab down
lab duplicate 1
lab exec h1 ip addr
lab freeze h2
lab grade story.log
lab heal
lab kill h1
lab log h1
lab loss 5 h1
lab mtu 576 h1
lab one-way h1 h2
lab ps
lab rate 512 h1
lab record story.log
lab reorder 10
lab run faults
lab shell h1
lab spawn h1 u1 spuser -s 4803
lab start h3
lab thaw h2
lab type h1 u1 j room
drain n2
resume n2
demo 1
demo 1 --web
forget n3
recover n1
restore --all
nodes
nodes -w
nodes -o wide
ps -o wide
ps -q
describe c1
wires
factories
status
declare-node n2 10.0.4.12
declare-factory counter counter.py
undeclare-factory counter
deploy counter c1 n1
deploy counter c2 n2 --arg start=40 --restart permanent
upgrade c1 c2
move c1 n2
destroy c1
wire g1.inc c1
wire c1.updateVal g1 --service agreed
unwire g1.inc c1
plan lab.toml
apply lab.toml
apply lab.toml --yes --whole
export greenhouse
undo 4.87
diff 4.80 4.87
signal g1 inc
tell c1 inc 5
ask c1 inc 5
group
group list
group listen room
group members room
group send room hello
spuser -s 4803@10.0.4.11
spflooder -s 4803
spmonitor status
kb facts
kb export
kb log
kb query 'actor(X, counter, n1)'
why c1
query 'actor(X, counter, n1)'
wait 'state(c1, running, _)' 10
web
web --open --read-only
top
top --once
panel g1
panel g1 --press inc
logs c1 -f
logs n1 --since 10m
events -f
failures
deadletters
doctor
bundle build counter.py -o counter.zb
bundle show counter.zb
bundle verify counter.zb
keys init
keys join "$TOKEN"
keys show
keys token
completion bash
"""


def examples_of(path: str) -> list[str]:
    """Return the lines that show a command, as typed behind `zactor`.

    Args: path: of the command, like "kb facts".
    """
    return [line for line in LINES if line == path or line.startswith(f"{path} ")]


LINES = tuple(_TEXT.split("\n")[1:-1])
FIRST = ("demo 1", "up -n 3 --web", "deploy counter c1 n1")
"""What to begin with."""


def write_examples(context: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the examples of the command that a help is about; of a group, of what is in it."""
    words: list[str] = []
    above = context
    while above.parent is not None:
        words.insert(0, above.info_name or "")
        above = above.parent
    if found := examples_of(" ".join(words)) if words else list(FIRST):
        formatter.write_paragraph()
        formatter.write_text("For example:")
        with formatter.indentation():
            for line in found[:3]:
                formatter.write(f"{'':>{formatter.current_indent}}zactor {line}\n")

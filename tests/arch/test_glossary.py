"""The glossary of PROTOCOL.md is the whole vocabulary: what classes are called stands there.

Who names a class with a word that is neither there nor below has to decide: is it plain English, or
the field's everyday word, then it is added below; or does it mean something of our own, then it
gets a line in the glossary.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("kernel", "supervisor", "bundles", "zactor", "demos")

# Plain English, Python's words and the field's everyday ones, in the singular.
_PLAIN = """
    accept ack acting address adversary aim already applied arrived asked asking async at atom audit
    bar batch became begin begun blocked blocking broken bundled buried by cabling cause changed
    channel check choice client close closed collected column command commit compiled compound
    condition config configuration configure congestible connect connection console context control
    counter counting coverage crash crashed cut cutting data decided declare declared delivered
    departed deploy describe descriptor destroy detector deviation died difference dispatch done
    draft drained drop emit end ended ending error exist explored explorer fail failed failure fault
    faulty fetcher file finder flushed former free from gathering get give grant guard guarded gui
    handle handled handshake has header heard hello history http id import init inspect install
    installed interrupted it join judge kept kernel key keyboard kind lazy leave left liar life
    limit listen listener living loader local logger look loop lose made may membership memory menu
    message metric mirror module moment monitor monitored multicast name net network new no nobody
    not note open opened option ordering origin outgoing package page pair parameter patient pause
    pending period phase pickler piece plain planned played player plot prepared printed printing
    process propose protocol proxy publish put quality query queue queued rang rare reach reachable
    read reader readline ready real received receiver refused regular reload remote replaced resume
    retired role row run runner running runtime salvage scan screen script search seen selector send
    sender sent server setting shared shell showing shown silent sim snapshot socket source spec
    stability stage start status stop stopped store strike subject such summary surrounding sync
    table tail taken taker tally target task thing thread throttle tick ticker timed timer to token
    top trace transact transmit trigger turn unbound undeclare undecodable undecoded undelivered
    unknown unpickler unread unreliably unstuck unwire user value var wait waiting walk want watch
    watcher watching welcome whole wired word world write writer zactor coded unfit
"""
PLAIN = frozenset(_PLAIN.split())


def stem(word: str) -> str:
    """The singular of a word, as far as a rule can tell."""
    word = word.lower()
    if word.endswith("sses"):
        return word[:-2]
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "su" else word


def words_of(name: str) -> set[str]:
    """ "KbStanding" -> {"kb", "standing"}"""
    return {stem(word) for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def class_names() -> Iterator[str]:
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef):
                    yield node.name


def glossary() -> set[str]:
    """Every word of its first column, and those set in italics beside it."""
    text = (ROOT / "kernel" / "PROTOCOL.md").read_text()
    part = text[text.index("## 1. Glossary") : text.index("## 2. ")]
    found = set()
    for line in part.splitlines():
        if line.startswith("| ") and not line.startswith("| word"):
            term, meaning = line.split("|")[1:3]
            set_apart = re.findall(r"\*([^*]+)\*", meaning)
            for word in re.findall(r"[A-Za-z]+", " ".join([term, *set_apart])):
                found |= words_of(word[0].upper() + word[1:])
    return found


# -- tests -----------------------------------------------------------------------------------
def unknown(name: str) -> list[str]:
    return sorted(words_of(name) - PLAIN - glossary())


def test_every_word_of_a_class_is_plain_or_in_the_glossary() -> None:
    found = {name: words for name in class_names() if (words := unknown(name))}
    assert not found


def test_no_word_is_called_plain_for_nothing() -> None:
    used = set().union(*map(words_of, class_names()))
    assert not PLAIN - used
    assert not PLAIN & glossary()


def test_a_word_of_our_own_would_be_found() -> None:
    assert unknown("ViewJanitor") == ["janitor"]
    assert unknown("ViewAgreement") == []

"""What the page shows of texts from elsewhere: its own code, run where a node can run it."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pytest
from deadlines import run_to_end

from zactor.web import feed

STATIC = Path(feed.__file__).with_name("static")
NODE = shutil.which("node")


def unseen() -> list[int]:
    """Characters that nobody sees, or that do something to a line; but for its end and tabs."""
    found = []
    for number in range(0x20000):
        kind = unicodedata.category(chr(number))
        if kind in ("Cc", "Cf", "Co", "Zl", "Zp") and chr(number) not in "\n\t":
            found.append(number)
    return found


@pytest.mark.skipif(NODE is None, reason="there is no node here")
def test_what_is_not_seen_is_shown_as_what_it_is() -> None:
    assert {0x1B, 0x9B, 0x61C, 0x200B, 0x202E, 0x2028, 0x2066, 0xFEFF} < set(unseen())
    code = (
        f"import {{ plain }} from {json.dumps(str(STATIC / 'dom.js'))};\n"
        f"const found = {json.dumps(unseen())}.filter((each) => {{\n"
        "  const shown = plain(`a${String.fromCodePoint(each)}b`);\n"
        "  return !/^a\\\\u\\{?[0-9a-f]{4,6}\\}?b$/.test(shown) || plain(shown) !== shown;\n"
        "});\n"
        "const kept = 'größe\\n\\t→ 😀 <b> \\\\ ä';\n"
        "console.log(JSON.stringify([found, plain(kept) === kept, plain(null), plain('\\ud800')]));"
    )
    done = run_to_end([NODE, "--input-type=module"], input=code)
    assert json.loads(done.stdout) == [[], True, "", "\\ud800"], done.stderr


def test_text_gets_onto_the_page_only_where_it_is_made_plain() -> None:
    for file in STATIC.glob("*.js"):
        if file.name == "dom.js":
            continue
        text = file.read_text()
        for bad in (".textContent =", ".innerText", "createTextNode", ".nodeValue", "fillText"):
            assert bad not in text, (file.name, bad)
        for line in text.splitlines():
            if "document.title =" in line:
                assert "document.title = plain(" in line, line


def test_what_is_streamed_has_it_escaped_too() -> None:
    made = feed._json({"text": "\u202edetpircne \x1b[2J größe"})
    assert made == '{"text":"\\u202edetpircne \\u001b[2J größe"}'
    assert json.loads(made)["text"] == "\u202edetpircne \x1b[2J größe"

#!/usr/bin/env python3
"""Checks that the modules of the report page can be joined into one script, in `page.c`'s order.

A page is one file without a network, so it cannot import modules: `PageScript.swift` puts them one
after the other, without their imports and the word `export`. What an imported name means is checked
by `tsc`.
"""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent
LONGEST = 120

IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";$', re.M)
DECLARED = re.compile(r"^(?:export )?(?:async )?(?:class|function|const|let) (\w+)", re.M)
OTHER_FORM = re.compile(
    r"^(?:import|export) (?!\{[^}]*\} from|async |class |function |const |let ).*", re.M
)


def problems() -> list[str]:
    order = re.findall(r'#embed "Page/(\w+)\.js"', (PAGE.parent / "page.c").read_text())
    modules = {path.stem: path.read_text() for path in PAGE.glob("*.js")}
    found = [f"{name}.js: page.c does not embed it" for name in sorted(set(modules) - set(order))]
    owner: dict[str, str] = {}
    for index, name in enumerate(order):
        text = modules[name]
        for origin in IMPORT.findall(text):
            if origin not in order[:index]:
                found.append(f"{name}.js: page.c embeds {origin}.js, which it imports, after it")
        for declared in DECLARED.findall(text):
            if declared in owner:
                found.append(f"{name}.js: {declared} is declared in {owner[declared]}.js, too")
            owner[declared] = name
        found += [f"{name}.js: cannot be joined: {line}" for line in OTHER_FORM.findall(text)]
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > LONGEST:
                found.append(f"{name}.js:{number}: longer than {LONGEST} characters")
    return found


if found := problems():
    sys.exit("\n".join(f"check.py: {problem}" for problem in found))

#!/usr/bin/env python3
"""Joins the modules of the report page into one script, `Joined/page.js`, which is embedded.

    Sources/CReportPage/Page/join.py [--check]

A page is one file without a network, so it cannot import modules. Their order is that of their
imports; imports, `export` and JSDoc comments are left out. With --check nothing is written, and it
is an error if `Joined/page.js` is not what the modules say.
"""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent
JOINED = PAGE / "Joined" / "page.js"
HEAD = "// Joined by join.py from Sources/CReportPage/Page/*.js: change those, not this file.\n"
LONGEST = 120

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.M)
DECLARED = re.compile(r"^(export )?(?:async )?(?:class|function|const|let) (\w+)", re.M)
#: A comment of its own, and one within a line.
JSDOC = re.compile(r"^ */\*\*(?:(?!\*/)(?:.|\n))*\*/\n|/\*\* @(?:(?!\*/).)* \*/ ?", re.M)


class Module:
    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.text = path.read_text()
        self.imports = [
            (origin, [name.strip() for name in names.split(",") if name.strip()])
            for names, origin in IMPORT.findall(self.text)
        ]
        declared = DECLARED.findall(self.text)
        self.declared = [name for _, name in declared]
        self.exported = {name for export, name in declared if export}

    def body(self) -> str:
        text = JSDOC.sub("", IMPORT.sub("", self.text))
        return re.sub(r"^export (?=async |class |function |const |let )", "", text, flags=re.M)


def problems(modules: dict[str, Module], order: list[Module]) -> list[str]:
    found = []
    owner: dict[str, str] = {}
    for module in modules.values():
        file = f"{module.name}.js"
        if module not in order:
            found.append(f"{file}: main.js does not import it, nor does one that it imports")
        for name in module.declared:
            if name in owner:
                found.append(f"{file}: {name} is declared in {owner[name]} too")
            owner[name] = file
        for origin, names in module.imports:
            for name in names:
                if origin not in modules or name not in modules[origin].exported:
                    found.append(f"{file}: {origin}.js exports no {name}")
        for number, line in enumerate(module.text.split("\n"), 1):
            if len(line) > LONGEST:
                found.append(f"{file}:{number}: longer than {LONGEST} characters")
        for line in module.body().split("\n"):
            if re.match(r"\s*(import|export)\b", line):
                found.append(f"{file}: cannot be joined: {line.strip()}")
    return found


def ordered(modules: dict[str, Module]) -> list[Module]:
    """Each module after those that it imports, `main` last."""
    order: list[Module] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in path:
            sys.exit(f"join.py: modules import each other: {' → '.join([*path, name])}")
        if name not in modules or modules[name] in order:
            return
        path.append(name)
        for origin, _ in modules[name].imports:
            visit(origin)
        path.pop()
        order.append(modules[name])

    visit("main")
    return order


def main() -> None:
    modules = {path.stem: Module(path) for path in sorted(PAGE.glob("*.js"))}
    order = ordered(modules)
    found = problems(modules, order)
    if found:
        sys.exit("\n".join(f"join.py: {problem}" for problem in found))
    joined = HEAD + "\n".join(module.body() for module in order)
    if sys.argv[1:] == ["--check"]:
        if not JOINED.exists() or JOINED.read_text() != joined:
            sys.exit("join.py: Joined/page.js is not current: run Sources/CReportPage/Page/join.py")
    elif sys.argv[1:]:
        sys.exit("join.py: expected no argument, or --check")
    else:
        JOINED.parent.mkdir(exist_ok=True)
        JOINED.write_text(joined)


main()

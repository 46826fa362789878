"""The links of Markdown files: in the repository, and in the documentation that DocC builds.

    python3 Sources/articles.py CATALOG FOLDER               copies a catalog, rewrites its links
    python3 Sources/articles.py --check ARCHIVE CATALOG ...  checks its pages and links

An article links to another one by its file, as ReplayARun.md#verify, so that links work wherever
the repository is read. DocC expects `doc:ReplayARun#Verify`, and resolves links within one catalog.
A link into another catalog becomes the path of the page in the archive of all catalogs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

#: `[text](destination)`, also where the text is broken across lines.
_LINK = re.compile(r"\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s]+)\)")
_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|(?<!`)(`+)(?!`).*?(?<!`)\2(?!`)", re.M | re.S)
_OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)


def _without_code(text: str) -> str:
    """The text with code blanked out, so that offsets stay."""

    def blank(match: re.Match[str]) -> str:
        # Code within the text of a link belongs to it.
        return re.sub(r"[^\n`]", "·", match[0])

    return _CODE.sub(blank, text)


def links(text: str) -> Iterator[tuple[int, str]]:
    """Each link to a file: the line, and the destination."""
    for match in _LINK.finditer(_without_code(text)):
        if not _OUTSIDE.match(match[2]):
            yield text.count("\n", 0, match.start()) + 1, match[2]


def headings(text: str) -> Iterator[str]:
    for line in re.sub(r"^```.*?^```", "", text, flags=re.M | re.S).splitlines():
        if match := re.match(r"#{1,6} +(.*?)\s*$", line):
            yield match[1].replace("`", "")


def anchor(heading: str) -> str:
    """What a heading is called in a link in the repository."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def doc_anchor(heading: str) -> str:
    """What DocC calls it."""
    return re.sub(r"[\s\-–—]+", "-", re.sub(r"[^\w\s\-–—]|_", "", heading))


def problem(file: Path, destination: str) -> str | None:
    """What is wrong with a link in a file."""
    path, _, fragment = unquote(destination).partition("#")
    target = file.parent / path if path else file
    if not target.exists():
        return f"there is no {path}"
    if fragment and fragment not in map(anchor, headings(target.read_text())):
        return f"{target.name} has no heading for #{fragment}"
    return None


def _doc_destination(file: Path, destination: str) -> str:
    path, _, fragment = destination.partition("#")
    target = Path(os.path.normpath(file.parent / path)) if path else file
    if target.suffix != ".md" or target.parent.suffix != ".docc":
        raise ValueError(f"{destination} is no article; an article links to articles only")
    if wrong := problem(file, destination):
        raise ValueError(f"{destination}: {wrong}")
    if fragment:
        found = next(h for h in headings(target.read_text()) if anchor(h) == fragment)
        fragment = f"#{doc_anchor(found)}"
    if target.parent == file.parent:
        return f"doc:{target.stem}{fragment}"
    return f"/documentation/{page_name(target)}{fragment}"


def doc_text(file: Path) -> str:
    """An article with its links as DocC has them."""
    text = file.read_text()
    parts, end = [], 0
    for match in _LINK.finditer(_without_code(text)):
        if _OUTSIDE.match(match[2]):
            continue
        destination = _doc_destination(file, match[2])
        parts.append(text[end : match.start(2)] + destination)
        end = match.end(2)
    text = "".join(parts) + text[end:]
    # A list of topics has links without text.
    return re.sub(r"^- \[[^\]]*\]\((doc:\w+)\)$", r"- <\1>", text, flags=re.M)


def copy(catalog: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in sorted(catalog.iterdir()):
        if file.suffix != ".md":
            shutil.copy(file, folder)
            continue
        try:
            (folder / file.name).write_text(doc_text(file))
        except ValueError as error:
            sys.exit(f"{file}: {error}")


def page_name(article: Path) -> str:
    """Where the page of an article is in an archive, below `documentation`."""
    module = article.parent.stem.lower()
    return module if article.stem == article.parent.stem else f"{module}/{article.stem.lower()}"


def _anchors(value: object) -> Iterator[str]:
    """The anchors of the headings of a page."""
    if isinstance(value, dict):
        if isinstance(value.get("anchor"), str):
            yield value["anchor"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _anchors(item)


def problems_in_archive(archive: Path, catalogs: list[Path]) -> Iterator[str]:
    """Each article has its page, and what it links to has one, and the heading."""
    pages = archive / "data" / "documentation"
    for article in sorted(file for catalog in catalogs for file in catalog.glob("*.md")):
        page = pages / f"{page_name(article)}.json"
        if not page.exists():
            yield f"{article}: the archive has no page for it"
            continue
        references = json.loads(page.read_text()).get("references", {})
        linked = {
            reference["url"]
            for reference in references.values()
            if reference.get("url", "").startswith("/documentation/")
        }
        for url in sorted(linked):
            path, _, fragment = url.removeprefix("/documentation/").partition("#")
            target = pages / f"{path}.json"
            if not target.exists():
                yield f"{article}: the archive has no page {url}"
            elif fragment and fragment not in _anchors(json.loads(target.read_text())):
                yield f"{article}: the page of {url} has no such heading"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"] and len(sys.argv) > 3:
        archive, *catalogs = map(Path, sys.argv[2:])
        sys.exit("\n".join(problems_in_archive(archive, catalogs)) or None)
    elif len(sys.argv) == 3:
        copy(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        print(__doc__, file=sys.stderr)
        sys.exit(64)

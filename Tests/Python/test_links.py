"""Every link in our Markdown leads to an existing file and heading; how DocC receives them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from documents import CATALOG, PLUGIN_CATALOG, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "Sources"))
import articles  # noqa: E402


def documents() -> Iterator[Path]:
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name != ".git" and not name.startswith(".build")]
        if "pyvenv.cfg" in files:
            # The README has one made.
            folders.clear()
        yield from (Path(folder, name) for name in files if name.endswith(".md"))


DOCUMENTS = sorted(documents())


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_links_lead_somewhere(file: Path) -> None:
    wrong = [
        f"{file}:{line}: {problem}"
        for line, destination in articles.links(file.read_text())
        if (problem := articles.problem(file, destination))
    ]
    assert wrong == []


def test_all_documents_are_read() -> None:
    names = {str(file.relative_to(REPOSITORY)) for file in DOCUMENTS}
    assert {"README.md", "Tests/README.md", "Tests/Benchmarks/README.md"} <= names
    assert sum(name.startswith("Sources/TaskLogKit/TaskLogKit.docc/") for name in names) > 12
    found = [link for file in DOCUMENTS for link in articles.links(file.read_text())]
    assert len(found) > 60 and sum("#" in destination for _, destination in found) > 10


def test_each_article_is_reached_from_the_readme_and_from_the_page_of_its_catalog() -> None:
    def linked(file: Path) -> set[Path]:
        return {
            (file.parent / destination.partition("#")[0]).resolve()
            for _, destination in articles.links(file.read_text())
        }

    for catalog in (CATALOG, PLUGIN_CATALOG):
        landing = catalog / f"{catalog.stem}.md"
        pages = {file.resolve() for file in catalog.glob("*.md")} - {landing.resolve()}
        assert pages - linked(landing) == set()
        assert pages - linked(REPOSITORY / "README.md") == set()


def test_no_document_names_the_machine() -> None:
    for file in DOCUMENTS:
        assert str(REPOSITORY) not in file.read_text(), file


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        for catalog in ("One.docc", "Two.docc"):
            if name.startswith(catalog[:3]):
                (folder / catalog).mkdir(exist_ok=True)
                (folder / catalog / f"{name[3:]}.md").write_text(text)


def test_links_are_rewritten_for_docc(tmp_path: Path) -> None:
    write(
        tmp_path,
        OneFirst="# First\n\n[a](Second.md), [`b` c](Second.md#what-is-it), [d](#the-end),\n"
        "[e](../Two.docc/Third.md#what-its-for) [f](https://host/x.md) `[g](Nowhere.md)`\n\n"
        "```\n[h](Nowhere.md)\n```\n\n- [Second](Second.md)\n\n## The end\n",
        OneSecond="# Second\n\n## What is it?\n",
        TwoThird="# Third\n\n## What it's for\n",
    )
    assert articles.doc_text(tmp_path / "One.docc" / "First.md") == (
        "# First\n\n[a](doc:Second), [`b` c](doc:Second#What-is-it), [d](doc:First#The-end),\n"
        "[e](/documentation/two/third#What-its-for) [f](https://host/x.md) `[g](Nowhere.md)`\n\n"
        "```\n[h](Nowhere.md)\n```\n\n- <doc:Second>\n\n## The end\n"
    )


@pytest.mark.parametrize(
    ("heading", "anchor", "doc_anchor"),
    [
        ("What is it?", "what-is-it", "What-is-it"),
        (
            "What it's for — x_y, code (and more): a/b",
            "what-its-for--x_y-code-and-more-ab",
            "What-its-for-xy-code-and-more-ab",
        ),
        ("2.1 Size of it", "21-size-of-it", "21-Size-of-it"),
    ],
)
def test_a_heading_has_an_anchor_here_and_in_docc(
    heading: str, anchor: str, doc_anchor: str
) -> None:
    """As GitHub and `docc convert` have made them."""
    assert articles.anchor(heading) == anchor
    assert articles.doc_anchor(heading) == doc_anchor


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("Nowhere.md", "there is no Nowhere.md"),
        ("First.md#nothing", "First.md has no heading for #nothing"),
        ("../README.md", "an article links to articles only"),
    ],
)
def test_a_broken_link_in_an_article_is_an_error(link: str, problem: str, tmp_path: Path) -> None:
    write(tmp_path, OneFirst=f"# First\n\n[a]({link})\n")
    (tmp_path / "README.md").touch()
    with pytest.raises(SystemExit, match="First.md: .*" + problem):
        articles.copy(tmp_path / "One.docc", tmp_path / "copy")


def test_what_is_missing_in_an_archive_is_said(tmp_path: Path) -> None:
    write(tmp_path, OneFirst="# First\n", OneSecond="# Second\n", TwoThird="# Third\n")
    pages = tmp_path / "archive" / "data" / "documentation"
    (pages / "one").mkdir(parents=True)

    def page(name: str, *urls: str) -> None:
        heading = {"type": "heading", "anchor": "Here", "text": "Here"}
        references = {url: {"type": "link", "url": url} for url in urls}
        page = {"primaryContentSections": [{"content": [heading]}], "references": references}
        (pages / f"{name}.json").write_text(json.dumps(page))

    page("one/first", "/documentation/one/second#Here", "https://host/")
    page("one/second", "/documentation/one/first#There", "/documentation/two/third")
    catalogs = [tmp_path / "One.docc", tmp_path / "Two.docc"]
    found = list(articles.problems_in_archive(tmp_path / "archive", catalogs))
    assert [line.split("docc/")[1] for line in found] == [
        "Second.md: the page of /documentation/one/first#There has no such heading",
        "Second.md: the archive has no page /documentation/two/third",
        "Third.md: the archive has no page for it",
    ]


def test_files_that_are_named_exist() -> None:
    """Those in code, as `Tests/run`: documents of one catalog cannot link to them."""
    named = {
        (file, path)
        for file in DOCUMENTS
        for path in re.findall(
            r"`((?:Sources|Tests|Migrations|\.github)/[\w./+-]+)`", file.read_text()
        )
    }
    missing = [(file.name, path) for file, path in named if not (REPOSITORY / path).exists()]
    assert sorted(missing) == []
    assert len(named) > 60

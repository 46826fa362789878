"""The report page within a notebook."""

from __future__ import annotations

import html
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasklog.reading import Run

#: A larger page, in bytes, is written to a file: a notebook stores what it shows.
LARGEST = 8 << 20
#: The height of the frame in pixels.
HEIGHT = 720


class Page:
    """A report page that a notebook shows.

    Its scripts run in a frame that has no access to the notebook, and it loads nothing: its own
    policy forbids that.
    """

    def __init__(self, page: str, height: int = HEIGHT) -> None:
        self._page = page
        self._height = height

    def _repr_html_(self) -> str:
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(self._page, quote=True)}" '
            f'style="width:100%;height:{self._height}px;border:0" title="tasklog report">'
            "</iframe>"
        )

    def __repr__(self) -> str:
        return f"<tasklog report page, {len(self._page):,} characters>"


class PageFile:
    """A report page that is too large to be shown in a notebook."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        size = self.path.stat().st_size / (1 << 20)
        return f"The report page has {size:.1f} MiB: open {self.path} in a browser."

    def _repr_html_(self) -> str:
        return f'<div style="color:inherit">{html.escape(repr(self))}</div>'


def show(
    run: Run,
    path: str | os.PathLike[str] | None = None,
    *,
    height: int = HEIGHT,
    largest: int = LARGEST,
) -> None:
    """Shows the report page of a run in a notebook, elsewhere the path of its file."""
    ipython = sys.modules.get("IPython")
    # A terminal shows no HTML.
    if ipython is None or getattr(ipython.get_ipython(), "kernel", None) is None:
        print(page(run, path, height=height, largest=0))
        return
    from IPython.display import display

    display(page(run, path, height=height, largest=largest))


def page(
    run: Run,
    path: str | os.PathLike[str] | None = None,
    *,
    height: int = HEIGHT,
    largest: int = LARGEST,
) -> Page | PageFile:
    """The report page of a run; without a path it is written if it is too large to be shown."""
    if path is not None:
        target = Path(path)
        run.report(target)
        return _shown(target, height, largest) or PageFile(target.absolute())
    descriptor, name = tempfile.mkstemp(prefix="tasklog-report-", suffix=".html")
    os.close(descriptor)
    target = Path(name)
    try:
        run.report(target)
        found = _shown(target, height, largest)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if found is None:
        return PageFile(target)
    target.unlink()
    return found


def _shown(path: Path, height: int, largest: int) -> Page | None:
    if path.stat().st_size > largest:
        return None
    return Page(path.read_text(encoding="utf-8"), height)

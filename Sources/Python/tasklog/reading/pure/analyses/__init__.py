"""Analyses of a run with Python's own SQLite, equal to those of the ``tasklog`` command.

What a view answers is read from it; the rest is computed as the Swift side does (``LogAnalysis``).
"""

from __future__ import annotations

from tasklog.reading.pure.analyses.answers import ANALYSES, tables

__all__ = ["ANALYSES", "tables"]

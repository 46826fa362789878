"""Runs the ``tasklog`` command: ``python -m tasklog``."""

from __future__ import annotations

from tasklog.binary import main

if __name__ == "__main__":
    main()

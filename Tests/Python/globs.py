"""The cases of patterns that Swift, SQL and Python must agree on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GLOBS: list[dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text())

"""Puts the sweep of tests/core on the path, whichever tests are collected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

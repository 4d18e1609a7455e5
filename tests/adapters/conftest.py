"""The counting proxy of tests/pulumi, on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "pulumi"))

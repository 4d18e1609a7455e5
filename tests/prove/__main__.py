"""`python -m tests.prove`, as `script/prove` starts it."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
# As pytest has them: the folders of the doubles and of the sweep.
sys.path[:0] = [str(TESTS), str(TESTS / "core")]

if __name__ == "__main__":
    from prove.command import main

    sys.exit(main(sys.argv[1:]))

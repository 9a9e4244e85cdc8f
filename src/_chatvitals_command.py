"""The entry point of the command `chatvitals`. It lies beside the package, whose import takes most of the start.

Ctrl-C during that import is a sentence here. Within the package, no code of ours would run yet.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process and return its exit status."""
    try:
        from chatvitals.cli.main import main as run  # noqa: PLC0415 - the import may be interrupted

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("\nchatvitals: interrupted\n")
        return 130

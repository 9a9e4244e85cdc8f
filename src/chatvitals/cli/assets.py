"""`chatvitals assets`: dashboards, alert rules and all that they need, written into a folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from chatvitals.monitoring import bundle
from chatvitals.monitoring.slo import Objective

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *, share: float, threshold: int, force: bool) -> int:
    """Write all files, changed ones only with `force`.

    Args:
        folder: where to; it is made if need be.
        share: the objective's share of turns, such as 0.95.
        threshold: the objective's seconds.
        force: whether files that differ are overwritten.

    Returns:
        0; 1 when a file is missing, cannot be written or would be overwritten; 2 for an objective that cannot be.

    """
    try:
        made = bundle.files(Objective(share, threshold))
    except ValueError as error:
        return _refuse(str(error), 2)
    except FileNotFoundError as error:
        return _refuse(f"{error.filename} is missing: install chatvitals again", 1)
    try:
        differing = [name for name, text in made.items() if _differs(folder / name, text)]
        if differing and not force:
            listed = "".join(f"\n  {folder / name}" for name in differing)
            return _refuse(f"these files differ from what would be written; --force overwrites them:{listed}", 1)
        for name, text in made.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text.encode())  # as they are compared: with the same ends of lines everywhere
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}", 1)
    sys.stdout.write(
        f"Wrote {len(made)} files to {folder}, for {share:g} of the turns answered within {threshold} s.\n"
        f"{folder / 'README.md'} says how to load them; to look at them with the demo bot:\n"
        f"  docker compose -f {folder / 'compose.yaml'} up\n"
    )
    return 0


def _differs(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() != text.encode()


def _refuse(why: str, status: int) -> int:
    sys.stderr.write(f"chatvitals assets: {why}\n")
    return status

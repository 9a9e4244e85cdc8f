"""Variables whose prefix is misspelt, such as `CHATVITAL_APP_SECRET`. An unknown name with our prefix is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from chatvitals.settings import Settings, ToolSettings
from chatvitals.settings.declaration import PREFIX, known_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HALVES = ("CHAT", "ITAL")  # a single slip leaves one of them whole
_LIKE_A_NAME, _LIKE_THE_PREFIX = 0.88, 0.78
"""The least likeness, 0 to 1. `VITALS_STORE` and `CHATWOOT_ACCESS_TOKEN` belong to other programs."""


def misspelt(environ: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return variables that are ignored because of their spelling, each with the variable that was probably meant.

        misspelt({"CHATVITAL_STORE": "memory:"}) == [("CHATVITAL_STORE", "CHATVITALS_STORE")]

    Args:
        environ: the variables. The default is the environment of this process. No value is read.

    """
    return list(_pairs(os.environ if environ is None else environ))


def sentences() -> list[str]:
    """Return a sentence about each such variable of this process, for logs and for standard error."""
    return [
        f"The variable {variable!r} is ignored, because its name must be {meant!r}: rename it, or remove it."
        for variable, meant in misspelt()
    ]


def _pairs(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    suspects = [name for name in sorted(environ) if _is_suspect(name)]
    if not suspects:
        return
    from difflib import SequenceMatcher, get_close_matches  # noqa: PLC0415 - only for a mistake

    known = {_plain(name): name for name in sorted(known_variables((Settings, ToolSettings)))}
    prefix = _plain(PREFIX)
    for name in suspects:
        plain = _plain(name)
        close = get_close_matches(plain, known, n=1, cutoff=_LIKE_A_NAME)
        if close and SequenceMatcher(None, plain[: len(prefix)], prefix).ratio() >= _LIKE_THE_PREFIX:
            yield name, known[close[0]]


def _is_suspect(name: str) -> bool:
    return not name.startswith(PREFIX) and any(half in name.upper() for half in _HALVES)


def _plain(name: str) -> str:
    """Return a name's letters and digits in capitals. Dashes, dots, case and a stray mark are slips, too."""
    return "".join(char for char in name if char.isascii() and char.isalnum()).upper()

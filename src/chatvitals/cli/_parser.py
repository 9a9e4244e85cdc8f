"""The parser of each command: a wrong option gets the usage of its own command, and the closest option."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are about the command itself. argparse passes unknown words to the outermost parser."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override] # the overloads of typeshed add nothing here
        """Parse words, and refuse unknown words at once. A misspelt option comes before a missing argument."""
        words = sys.argv[1:] if args is None else list(args)
        self._refuse(list(self._unknown_options(words)))
        found, unknown = super().parse_known_args(words, namespace)
        self._refuse(unknown)
        return found, unknown

    def _refuse(self, unknown: list[str]) -> None:
        if unknown:
            advice = self._closest(unknown[0])
            self.error(f"unrecognized arguments: {' '.join(unknown)}{'.' if advice else ''}{advice}")

    def _closest(self, name: str) -> str:
        """Return a sentence with the closest option. Dashes are left out, because they make short options alike."""
        import difflib  # noqa: PLC0415 - only for a mistake

        options = {option.strip("-"): option for option in self._option_string_actions if name.startswith("-")}
        close = difflib.get_close_matches(name.strip("-"), options, n=1)
        return f" Did you mean {options[close[0]]!r}?" if close else ""

    def _unknown_options(self, words: list[str]) -> Iterator[str]:
        """Yield the long options that this parser does not know. argparse takes abbreviations of the others."""
        known = self._option_string_actions
        for word in words:
            name = word.partition("=")[0]
            if word == "--" or (self._subparsers is not None and not word.startswith("-")):
                return  # only values follow, or the words of an inner command
            if name.startswith("--") and " " not in name and not any(option.startswith(name) for option in known):
                yield name  # without its value, which may be a secret

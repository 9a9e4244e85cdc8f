"""Each idea has one room, and each thing one name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "chatvitals"
MODULES = {
    "__init__",
    "__main__",
    "_version",
    "context",
    "events",
    "vitals",
}  # settings is a package: checks and files of secrets take their own rooms
MOST_LINES = 400

OLD_CLASSES = {
    "Unread", "Whose", "Moments", "Moment", "Measures", "OwnHealth", "Leadership", "Patience", "Given", "Looked",
    "Told", "Guard", "Labels", "Contact",
}  # fmt: skip
OLD_MODULES = re.compile(
    r"chatvitals\.(reducer|clients|assets|catalogue|families|labels|payloads|vocabulary|webhooks|guard|forks|graph"
    r"|poller|watching|exposition|exporter|samples|whose|moments|unread|queued|funnel|store_cli)\b"
)


def sources() -> list[Path]:
    """Return every Python file of the package, tests and builder."""
    return [path for folder in ("src", "tests", "grafana", "examples") for path in (ROOT / folder).rglob("*.py")]


def test_only_the_nouns_of_a_user_lie_at_the_top() -> None:
    """Everything else has a package that names its layer."""
    assert {path.stem for path in PACKAGE.glob("*.py")} == MODULES


def test_no_module_holds_two_ideas() -> None:
    """A module that outgrows the limit wants a second room."""
    long = {str(path.relative_to(ROOT)): _lines(path) for path in PACKAGE.rglob("*.py") if _lines(path) > MOST_LINES}
    assert long == {}


def test_no_old_name_is_left() -> None:
    """Nothing has been released, so no name is kept for compatibility."""
    old = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources()
        if path != Path(__file__)
        for name in (
            *_classes(path) & OLD_CLASSES,
            *(found.group() for found in OLD_MODULES.finditer(path.read_text())),
        )
    }
    assert old == set()


def test_the_architecture_names_every_room_and_no_other() -> None:
    """`src/chatvitals/README.md` shows each package and top module, and the modules that it names exist."""
    text = (PACKAGE / "README.md").read_text()
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or _is_package(path)}
    assert {room for room in rooms if not room.startswith("_") and f"`{room}`" not in text} == set()
    named = [name for name in re.findall(r"`(\w+/\w+)(?:\.py)?`", text) if name.split("/")[0] in rooms]
    assert len(named) > 10
    assert [name for name in named if not (PACKAGE / f"{name}.py").exists() and not (PACKAGE / name).exists()] == []


@pytest.mark.parametrize("word", ["Say", "Tell"])
def test_a_predicate_returns_whether(word: str) -> None:
    """Python's idiom is "Return whether"."""
    found = [path for path in sources() if path != Path(__file__) and f'"""{word} whether' in path.read_text()]
    assert found == []


def _is_package(path: Path) -> bool:
    """Return whether a folder is a package."""
    return (path / "__init__.py").exists()


def _classes(path: Path) -> set[str]:
    """Return the names of the classes that a file defines."""
    return set(re.findall(r"^\s*class (\w+)", path.read_text(), re.MULTILINE))


def _lines(path: Path) -> int:
    return path.read_text().count("\n")

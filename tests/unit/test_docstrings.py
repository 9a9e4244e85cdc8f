"""Public names have complete docstrings, and every public module lists its public names."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = SOURCE / "chatvitals"
FURTHER = {"chatvitals.events": ("Poll",), "chatvitals.exporters.metrics_app": ("MetricsRequest",)}
"""Public names of modules that are otherwise internal."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Defined: TypeAlias = Function | ast.ClassDef


class Public(NamedTuple):
    """A public function or class with its name for the reader, and the class of a method."""

    name: str
    node: Defined
    owner: ast.ClassDef | None = None

    @property
    def text(self) -> str:
        """The docstring. Parameters of `__init__` stand in that of the class."""
        node = self.owner if self.owner is not None and self.node.name == "__init__" else self.node
        return ast.get_docstring(node) or ""


def public_modules() -> dict[str, Path]:
    """Return the modules that a user may import, as the docstring of `chatvitals` names them."""
    rooms = {"chatvitals": PACKAGE / "__init__.py", "chatvitals.testing": PACKAGE / "testing" / "__init__.py"}
    rooms["chatvitals.stores.base"] = PACKAGE / "stores" / "base.py"
    doors = (PACKAGE / "integrations").glob("[!_]*.py")
    return rooms | {f"chatvitals.integrations.{door.stem}": door for door in sorted(doors)}


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def listed(path: Path) -> tuple[str, ...]:
    """Return the content of `__all__`, or nothing where the module has none."""
    for node in parsed(path).body:
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]:
            return tuple(ast.literal_eval(node.value))
    return ()


def defined(path: Path, name: str) -> tuple[Path, ast.stmt | None]:
    """Return the definition of a name, with the file where it stands. Imports are followed."""
    for node in parsed(path).body:
        if name == getattr(node, "name", None) or name in map(assigned, getattr(node, "targets", [node])):
            return path, node
        if (
            isinstance(node, ast.ImportFrom)
            and str(node.module).startswith("chatvitals")
            and any(alias.name == name for alias in node.names)
        ):
            module = SOURCE / str(node.module).replace(".", "/")
            file = module.with_suffix(".py")
            return defined(file if file.exists() else module / "__init__.py", name)
    return path, None


def assigned(node: ast.AST) -> str:
    """Return the name that an assignment or its target writes to."""
    target = getattr(node, "target", node)
    return target.id if isinstance(target, ast.Name) else ""


def methods(path: Path, node: ast.ClassDef, owner: ast.ClassDef) -> Iterator[Public]:
    """Yield the public methods of a class and of its bases in the package."""
    for each in node.body:
        if isinstance(each, Function) and (not each.name.startswith("_") or each.name == "__init__"):
            yield Public(f"{owner.name}.{each.name}", each, node)
    for base in node.bases:
        file, found = defined(path, getattr(base, "id", ""))
        if isinstance(found, ast.ClassDef):
            yield from methods(file, found, owner)


def public() -> dict[str, Public]:
    """Return all public functions, classes and methods by their names."""
    found = []
    names = [(module, path, listed(path)) for module, path in public_modules().items()]
    names += [(module, SOURCE / f"{module.replace('.', '/')}.py", names) for module, names in FURTHER.items()]
    seen = set()
    for module, path, listing in names:
        for name in listing:
            file, node = defined(path, name)
            if node in seen:
                continue  # `chatvitals.Store` is that of `chatvitals.stores.base`
            seen.add(node)
            if isinstance(node, Defined):
                found.append(Public(f"{module}.{name}", node))
            if isinstance(node, ast.ClassDef):
                found.extend(each._replace(name=f"{module}.{each.name}") for each in methods(file, node, node))
    return {each.name: each for each in found}


PUBLIC = public()
CALLABLE = [name for name, each in PUBLIC.items() if isinstance(each.node, Function)]
CLASSES = [name for name, each in PUBLIC.items() if isinstance(each.node, ast.ClassDef)]


def test_every_public_module_lists_its_names() -> None:
    """A module of integrations without `__all__` is a helper, and its name begins with an underscore."""
    assert {module for module, path in public_modules().items() if not listed(path)} == set()


def test_every_listed_name_is_defined() -> None:
    """The rules below see each function and class."""
    names = {
        (module, name): defined(path, name)[1] for module, path in public_modules().items() for name in listed(path)
    }
    assert [name for name, node in names.items() if node is None] == []
    assert len(CALLABLE) > 60


@pytest.mark.parametrize("name", CALLABLE)
def test_each_parameter_is_described(name: str) -> None:
    """The section Args has a line for each, by its name."""
    each = PUBLIC[name]
    assert isinstance(each.node, Function)
    described = set(re.findall(r"^ +\**(\w+): ", section(each.text, "Args"), re.MULTILINE))
    assert parameters(each.node) - described == set()


@pytest.mark.parametrize("name", CALLABLE)
def test_each_result_is_described(name: str) -> None:
    """The text names what comes back."""
    each = PUBLIC[name]
    assert isinstance(each.node, Function)
    result = each.node.returns
    silent = result is None or (isinstance(result, ast.Constant) and result.value is None) or is_property(each.node)
    assert silent or re.search(r"\b(return|yield|give)s?\b", each.text, re.IGNORECASE)


@pytest.mark.parametrize("name", CALLABLE)
def test_each_error_that_a_function_raises_is_described(name: str) -> None:
    """The section Raises names the exceptions of its own `raise` statements."""
    each = PUBLIC[name]
    assert raised(each.node) - set(re.findall(r"^ +(\w+): ", section(each.text, "Raises"), re.MULTILINE)) == set()


@pytest.mark.parametrize("name", CLASSES)
def test_each_field_is_described(name: str) -> None:
    """A field has a text below it, or its name stands in the docstring of its class."""
    body = PUBLIC[name].node.body
    below = {
        node.target.id
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr)
    }
    fields = {node.target.id for node in body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    named = set(re.findall(r"\w+", PUBLIC[name].text))
    assert {field for field in fields if not field.startswith("_")} - below - named == set()


def section(text: str, title: str) -> str:
    """Return the lines of a section of a docstring."""
    found = re.search(rf"^{title}:\n((?: .*\n|\n(?= ))+)", text + "\n", re.MULTILINE)
    return found[1] if found else ""


def parameters(node: Function) -> set[str]:
    """Return the names of a function's parameters that a caller gives."""
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {each.arg for each in every if each is not None and each.arg not in {"self", "cls"} and each.arg[0] != "_"}


def raised(node: Defined) -> set[str]:
    """Return the names of the exceptions that a function raises itself, without those of inner functions."""
    inner = {
        id(part) for each in ast.walk(node) if isinstance(each, Defined) and each is not node for part in ast.walk(each)
    }
    errors = [each.exc for each in ast.walk(node) if isinstance(each, ast.Raise) and id(each) not in inner]
    return {name for error in errors if (name := getattr(getattr(error, "func", error), "id", None))}


def is_property(node: Function) -> bool:
    """Return whether a method is read like an attribute."""
    return any(getattr(each, "id", "") in {"property", "cached_property"} for each in node.decorator_list)

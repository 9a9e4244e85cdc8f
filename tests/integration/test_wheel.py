"""What pip installs: a wheel carries all that its commands need, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into a folder."""
    folder = tmp_path_factory.mktemp("wheel")
    run(CHECKOUT, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    wheel = next(folder.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    run(folder, *pip, "--target", str(folder / "site"), str(wheel))
    return folder / "site"


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command that must succeed; return what it writes."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_assets_need_no_checkout(site: Path, tmp_path: Path) -> None:
    """The installed package writes the same files as the checkout."""
    where = run(tmp_path, sys.executable, "-c", "import chatvitals; print(chatvitals.__file__)", PYTHONPATH=str(site))
    assert where.startswith(str(site))
    run(tmp_path, sys.executable, "-m", "chatvitals", "assets", "--out", "packed", PYTHONPATH=str(site))
    run(tmp_path, sys.executable, "-m", "chatvitals", "assets", "--out", "checkout", PYTHONPATH=str(CHECKOUT / "src"))
    packed, checkout = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "packed", tmp_path / "checkout")
    )
    assert packed == checkout
    assert len(packed) > 20


def test_without_extras_every_public_module_can_be_imported(site: Path, tmp_path: Path) -> None:
    """A door whose framework is missing says so; all else works with the three core dependencies."""
    run(tmp_path, sys.executable, "-m", "venv", str(tmp_path / "bare"))
    python = str(tmp_path / "bare" / "bin" / "python")
    wheel = str(next(site.parent.glob("*.whl")))
    run(tmp_path, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    found = run(tmp_path, python, "-c", _IMPORTS)
    assert found.splitlines()[-1] == "imported"


_IMPORTS = """
import importlib, pkgutil, chatvitals, chatvitals.integrations, chatvitals.testing
for name in chatvitals.__all__:
    getattr(chatvitals, name)
names = ["chatvitals.events", "chatvitals.stores.base"]
for package in (chatvitals.integrations, chatvitals.testing):
    names += [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        framework = error.name.partition(".")[0]
        assert framework != "chatvitals", error
        assert framework in {"httpx", "asgiref"} or name.rpartition(".")[2].startswith(framework), (name, error)
print("imported")
"""


def test_the_wheel_is_typed_and_holds_no_tests(site: Path) -> None:
    """Type checkers look for the marker."""
    assert (site / "chatvitals" / "py.typed").exists()
    assert sorted(path.name for path in site.iterdir() if path.suffix != ".dist-info") == ["bin", "chatvitals", "share"]

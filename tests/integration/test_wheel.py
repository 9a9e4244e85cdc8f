"""What pip installs: a wheel carries all that its commands need, without the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from chatvitals import __version__

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the published files as `python -m build` does, and return the folder."""
    folder = tmp_path_factory.mktemp("release")
    run(CHECKOUT, sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def bare(site: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Install the wheel without extras into a new environment, and return its Python."""
    folder = tmp_path_factory.mktemp("bare")
    run(folder, sys.executable, "-m", "venv", str(folder / "bare"))
    python = str(folder / "bare" / "bin" / "python")
    wheel = str(next(site.parent.glob("*.whl")))
    run(folder, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return python


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
    """Run a command that must succeed. Return its output."""
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


def test_a_release_passes_the_index_s_checks(release: Path) -> None:
    """One wheel and one source archive of this version, whose metadata and README the index takes."""
    names = sorted(path.name for path in release.iterdir())
    assert names == [f"chatvitals-{__version__}-py3-none-any.whl", f"chatvitals-{__version__}.tar.gz"]
    told = run(release, sys.executable, "-m", "twine", "check", "--strict", *names)
    assert told.count("PASSED") == 2


def test_a_source_archive_has_every_file_of_the_checkout(release: Path) -> None:
    """Its tests read files of CI, too."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("an unpacked source archive has no list of the checkout's files")
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    with tarfile.open(next(release.glob("*.tar.gz"))) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert ".ci/run" in packed
    assert set(listed.stdout.splitlines()) - packed == set()


def test_the_version_stands_in_one_place() -> None:
    """The changelog has it with a date. The metadata takes it from the package."""
    text = (CHECKOUT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    assert released[0][0] == __version__
    assert dict(released)["0.2.0"] == "2026-11-26"
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert "version" not in project["project"]


def test_the_extra_all_holds_every_extra() -> None:
    """But those for developing chatvitals."""
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = extras.pop("all")
    assert named == f"chatvitals[{','.join(sorted(set(extras) - {'dev'}))}]"


_INIT = "import chatvitals; v = chatvitals.init(store='memory:', app_secret='s3cr3t'); "
_ABSENT = {
    "demo": (["-m", "chatvitals", "demo"], "The demo needs: pip install 'chatvitals[demo]'"),
    "doctor": (["-m", "chatvitals", "doctor"], "pip install 'chatvitals[graph]'"),
    "poller": (
        ["-c", f"{_INIT} v.watch_quality(access_token='t', waba_ids='1')"],
        "watch_quality needs httpx: pip install 'chatvitals[graph]'",
    ),
    "push": (["-c", f"{_INIT} v.export_otlp()"], "pip install 'chatvitals[otel]'"),
    "exporter": (
        ["-m", "chatvitals", "exporter", "--store", "sqlite:///none.db", "--port", "0", "--otlp"],
        "pip install 'chatvitals[otel]'",
    ),
    "redis": (
        ["-m", "chatvitals", "store", "info", "redis://127.0.0.1:9/0"],
        "a Redis store needs redis-py, which is not installed: pip install 'chatvitals[redis]'",
    ),
}


@pytest.mark.parametrize("what", _ABSENT)
def test_an_extra_that_is_absent_is_a_sentence(what: str, bare: str, tmp_path: Path) -> None:
    """It names the extra. A command shows no traceback."""
    words, said = _ABSENT[what]
    done = subprocess.run([bare, *words], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert said in done.stderr
    assert words[0] == "-c" or "Traceback" not in done.stderr


def test_without_extras_every_public_module_can_be_imported(bare: str, tmp_path: Path) -> None:
    """A door whose framework is missing says so. All else works with the three core dependencies."""
    found = run(tmp_path, bare, "-c", _IMPORTS)
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
        module = name.rpartition(".")[2].lstrip("_")
        assert framework in {"httpx", "asgiref"} or module.startswith(framework), (name, error)
print("imported")
"""


def test_the_wheel_is_typed_and_holds_no_tests(site: Path) -> None:
    """Type checkers look for the marker."""
    assert (site / "chatvitals" / "py.typed").exists()
    assert sorted(path.name for path in site.iterdir() if path.suffix != ".dist-info") == ["bin", "chatvitals", "share"]

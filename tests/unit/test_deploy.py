"""The container files in `examples/deploy`, checked without Docker: what they name exists, and the commands start."""

from __future__ import annotations

import re
import tomllib
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import yaml

from chatvitals.cli import exporter, main

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parents[2] / "examples/deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


def started(command: Sequence[str]) -> tuple[Any, ...]:
    """Return the arguments that a command gives to the exporter."""
    assert command[0] == "chatvitals"
    with mock.patch.object(exporter, "run", return_value=0) as run:
        assert main.main(list(command[1:])) == 0
    return tuple(run.call_args.args)


def test_the_image_is_built_from_files_of_the_checkout() -> None:
    """No package index is needed for chatvitals itself."""
    root = FOLDER.parents[1]
    copied = [word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert all((root / name).exists() for name in copied)
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*wheel["packages"], *wheel["force-include"], *wheel["shared-data"]]
    assert all(name.partition("/")[0] in copied for name in needed)
    build = COMPOSE["services"]["exporter"]["build"]
    assert (FOLDER / build["context"]).resolve() == root
    assert (root / build["dockerfile"]).is_file()


def test_the_commands_are_commands_of_chatvitals() -> None:
    """With options that exist, and an address that other containers reach."""
    for command in (COMPOSE["services"]["exporter"]["command"], yaml.safe_load(DOCKERFILE.rpartition("CMD ")[2])):
        _, host, port, _ = started(command)
        assert (host, port) == ("0.0.0.0", 9464)


def test_the_healthcheck_asks_the_exporter_whether_it_is_ready() -> None:
    """It fails without an answer."""
    python, flag, code = COMPOSE["services"]["exporter"]["healthcheck"]["test"][1:]
    assert (python, flag) == ("python", "-c")
    assert "http://127.0.0.1:9464/-/ready" in code
    with pytest.raises(urllib.error.URLError):
        exec(code.replace(":9464", ":9"), {})

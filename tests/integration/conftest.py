"""What tests of several files share because it takes minutes to make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.month import simulated_month

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers.month import Month


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """A simulated month on a real Prometheus."""
    with simulated_month(tmp_path_factory.mktemp("month")) as found:
        yield found

"""A Temporal server of their own for the tests of workers: elsewhere the platform's workers poll its queues."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import temporal_dev_server


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of a server that nobody else uses."""
    with temporal_dev_server(tmp_path_factory.mktemp("temporal-workers")) as address:
        yield address

"""What the tests share. SVI_BIN_DIR in the environment says where svi-server, svi-worker and svi are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from processes import run

from svi_serving import Client


@pytest.fixture(scope="session")
def binaries() -> Path:
    return Path(os.environ["SVI_BIN_DIR"])


@pytest.fixture(scope="session")
def model(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    run(binaries / "svi-worker", "init-model", "--preset=tiny", "--seed=1", f"--out={folder}")
    return folder


@pytest.fixture(scope="session")
def shared(binaries: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server and a worker that no test stops."""
    with Cluster(binaries, model, tmp_path_factory.mktemp("shared")) as cluster:
        cluster.start_server()
        cluster.start_worker()
        yield cluster


@pytest.fixture
def client(shared: Cluster) -> Iterator[Client]:
    with Client(shared.address) as connected:
        yield connected


@pytest.fixture
def cluster(binaries: Path, model: Path, tmp_path: Path) -> Iterator[Cluster]:
    """One that the test starts, and may stop."""
    with Cluster(binaries, model, tmp_path) as own:
        yield own

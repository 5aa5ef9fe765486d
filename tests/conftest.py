"""What several kinds of tests share: the real dataset, loaded once."""

from __future__ import annotations

import pytest

from replication import paths
from replication.dataset import Dataset, load_dataset


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """The project's dataset as it stands in this checkout."""
    return load_dataset(paths.data_dir())

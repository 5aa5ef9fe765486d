"""What several kinds of tests share: the real dataset, loaded once."""

from __future__ import annotations

import pytest
from hypothesis import settings

from replication import paths
from replication.dataset import Dataset, load_dataset

# No test is timed: on a busy machine the first example alone, with its imports, takes longer than the usual deadline.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """The project's dataset as it stands in this checkout."""
    return load_dataset(paths.data_dir())

"""A small dataset in a folder of its own, to be broken at will. All its works and numbers are invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication import paths
from tests.data.small import Small


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Two invented works, `alpha2020` and `beta2021`, with samples, effects and a claim."""
    return Small.build(tmp_path / "references", paths.data_dir())

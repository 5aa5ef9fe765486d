"""`import replication as tsr`: the short list of names people use, found at once and imported when needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import replication as tsr


def test_every_public_name_is_there_and_documented() -> None:
    for name in tsr.__all__:
        assert (getattr(tsr, name).__doc__ or "").strip(), name
    assert 30 <= len(tsr.__all__) <= 60
    assert set(dir(tsr)) == set(tsr.__all__)


def test_the_import_loads_nothing_heavy() -> None:
    """The promise of an import under 50 ms, without a clock: no array library is loaded before a name is used."""
    code = "import sys, replication; print(sorted({'numpy', 'scipy', 'pandas', 'formulaic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'random_effect'"):
        tsr.random_effect  # noqa: B018
    assert not hasattr(tsr, "numpy")


def test_no_public_name_is_hidden_by_a_module() -> None:
    """`import replication.run` sets the attribute `run`: a public name must not be one of the modules."""
    code = "import replication, replication.run, replication.claims; print(callable(replication.run_analyses))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"

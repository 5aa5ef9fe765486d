"""The rooms of functions on arrays say what they hold, and every name is found where it is said to be."""

from __future__ import annotations

import importlib
import inspect

import pytest

ROOMS = ("effects", "models", "models.bias", "models.masem", "models.bayes", "models.bayes.priors")


@pytest.mark.parametrize("room", ROOMS)
def test_every_exported_name_is_there_and_documented(room: str) -> None:
    package = importlib.import_module(f"replication.{room}")
    for name in package.__all__:
        found = getattr(package, name)
        if inspect.isroutine(found) or inspect.isclass(found):
            assert (found.__doc__ or "").strip(), name
            assert found.__name__ == name
    with pytest.raises(AttributeError):
        package.no_such_name  # noqa: B018


def test_no_exported_function_is_hidden_by_a_module_of_its_name() -> None:
    """`effects.correlation` is a module and a function: the package must give the function."""
    for room in ROOMS:
        package = importlib.import_module(f"replication.{room}")
        assert not [name for name in package.__all__ if inspect.ismodule(getattr(package, name))]

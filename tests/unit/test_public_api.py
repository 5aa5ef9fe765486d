"""The names people use, pinned: a change of `PINNED` in a diff is a change of what others build on."""

import ast
import importlib
from pathlib import Path

import pytest

import replication

PACKAGE = Path(replication.__file__).parent
PINNED = Path(__file__).with_name("public_api.txt")


def exported(path: Path) -> list[str]:
    """The names in `__all__`, read without importing anything."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
            return sorted(ast.literal_eval(node.value))
    return []


def test_the_front_door_has_the_pinned_names() -> None:
    """After a change that is meant: write the new list into `public_api.txt`, and the change into CHANGELOG."""
    assert sorted(replication.__all__) == PINNED.read_text(encoding="utf-8").split()


def test_the_front_door_is_short() -> None:
    assert 30 <= len(replication.__all__) <= 60


@pytest.mark.parametrize("name", replication.__all__)
def test_every_name_of_the_front_door_can_be_had(name: str) -> None:
    assert getattr(replication, name) is not None


@pytest.mark.parametrize("room", ["replication.effects", "replication.models", "replication.models.bayes"])
def test_every_name_a_room_exports_can_be_had(room: str) -> None:
    module = importlib.import_module(room)
    assert all(getattr(module, name, None) is not None for name in module.__all__)


def test_every_module_says_what_is_public() -> None:
    quiet = {"__main__.py"}
    missing = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name not in quiet and "__all__" not in path.read_text(encoding="utf-8") and ast_body(path)
    ]
    assert missing == []


def ast_body(path: Path) -> bool:
    """Whether a module defines anything beside its docstring and imports."""
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return any(isinstance(node, kinds) for node in ast.parse(path.read_text(encoding="utf-8")).body)

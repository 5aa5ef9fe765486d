"""The public names, pinned: a change of `public_api.txt` in a diff is a change of what others build on.

After a change that is meant: `python -m tests.unit.test_public_api` writes the file anew.
"""

import ast
from pathlib import Path

import replication

PACKAGE = Path(replication.__file__).parent
PINNED = Path(__file__).with_name("public_api.txt")


def exported(path: Path) -> list[str]:
    """The names in `__all__`, read without importing anything."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
            return sorted(ast.literal_eval(node.value))
    return []


def listing() -> str:
    lines = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        lines += [f"{name}: {public}" for public in exported(path)]
    return "\n".join(lines) + "\n"


def test_the_public_names_are_the_pinned_ones() -> None:
    assert listing() == PINNED.read_text(encoding="utf-8")


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


if __name__ == "__main__":
    PINNED.write_text(listing(), encoding="utf-8", newline="\n")

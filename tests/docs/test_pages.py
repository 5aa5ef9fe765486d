"""The documentation runs: every block of code, and the output printed below it; the API page lists the public names.

After a change that is meant: `python -m tests.docs.test_pages` writes the outputs anew.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import replication as tsr
from replication import paths

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<shown>.*?)```)?", re.S)


def run_page(text: str, folder: Path) -> str:
    """The page with the outputs its code prints now; blocks without an output below them stay without."""
    space: dict[str, Any] = {}

    def fill(match: re.Match[str]) -> str:
        out = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(out):
            exec(compile(match["code"], "page", "exec"), space)
        if match["shown"] is None:
            return match[0]
        printed = "".join(line.rstrip() + "\n" for line in out.getvalue().splitlines())
        return f"```python\n{match['code']}```\n\n```text\n{printed}```"

    return BLOCK.sub(fill, text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_code_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert run_page(text, tmp_path) == text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), notebook.name, "exec"), space)


def test_two_notebooks_are_there() -> None:
    assert len(NOTEBOOKS) >= 2


def test_the_api_page_lists_the_public_names() -> None:
    listed = re.findall(r"^::: ([\w.]+)$", (DOCS / "api.md").read_text(encoding="utf-8"), flags=re.M)
    assert sorted(name.rpartition(".")[2] for name in listed) == sorted(tsr.__all__)
    for name in listed:
        module, _, attribute = name.rpartition(".")
        assert getattr(__import__(module, fromlist=[attribute]), attribute) is getattr(tsr, attribute)


def test_the_table_of_references_names_tests_and_functions_that_are_there() -> None:
    table = (DOCS / "methods.md").read_text(encoding="utf-8").partition("| method |")[2]
    tests = set(re.findall(r"test_\w+\.py", table))
    folder = DOCS.parent / "tests" / "reference"
    assert {name for name in tests if not (folder / name).exists()} == set()
    # A pinned reference that is not in the table is one that no reader hears of.
    unsaid = {path.name for path in folder.glob("test_metafor_*.py")} - tests
    assert unsaid <= {"test_metafor_5_roorda.py"}
    functions = {
        cell
        for row in table.splitlines()
        for cell in re.findall(r"`(\w+)`", row.split("|")[2] if "|" in row[1:] else "")
    }
    assert functions <= set(tsr.__all__)


def test_every_page_is_reachable() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")))
    assert listed == {page.relative_to(DOCS).as_posix() for page in PAGES}


def test_calls_that_are_mapped_exist() -> None:
    """The tables for users of other packages name functions that are there."""
    from replication.frames import plots

    text = (DOCS / "coming-from.md").read_text(encoding="utf-8") + (DOCS / "how-to" / "figures.md").read_text(
        encoding="utf-8"
    )
    assert set(re.findall(r"tsr\.(\w+)", text)) <= set(tsr.__all__)
    assert set(re.findall(r"\b(\w+_plot)\b", text)) <= set(plots.__all__)


if __name__ == "__main__":
    import tempfile

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    assert paths.project_root() == DOCS.parent
    for each in PAGES:
        with tempfile.TemporaryDirectory() as scratch:
            each.write_text(run_page(each.read_text(encoding="utf-8"), Path(scratch)), encoding="utf-8", newline="\n")

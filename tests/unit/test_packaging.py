"""An ordinary package: what is imported is declared, heavy parts are extras, the dataset travels with the wheel."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import replication as tsr
from replication import lazily, paths
from replication.frames import project

ROOT = Path(__file__).parents[2]
# How a distribution is called whose module has another name.
MODULES = {"markdown-it-py": "markdown_it", "arviz-stats": "arviz_stats"}


def declared() -> tuple[set[str], dict[str, set[str]]]:
    """Modules of the base install, and of each extra."""
    project_table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def modules(requirements: list[str]) -> set[str]:
        names = [requirement.split(">")[0].split("<")[0].split("=")[0].strip() for requirement in requirements]
        return {MODULES.get(name, name).replace("-", "_") for name in names}

    return modules(project_table["dependencies"]), {
        name: modules(requirements) for name, requirements in project_table["optional-dependencies"].items()
    }


def imported() -> set[str]:
    """Every module outside the standard library that the package imports anywhere."""
    found: set[str] = set()
    for path in (ROOT / "replication").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"replication", "analyses", "__future__"}


def test_every_import_is_declared_and_says_its_extra_when_it_is_missing() -> None:
    base, extras = declared()
    heavy = set().union(*(extras[name] for name in ("sampling", "pdf", "surveys", "figures")))
    undeclared = imported() - base - heavy - {"pytensor", "yaml"}
    assert undeclared == set(), "declare them in pyproject.toml"
    for module in (imported() & heavy) | {"pytensor"}:
        assert "pip install 'tsr-replication[" in lazily.missing_extra(ModuleNotFoundError(name=module))
    assert lazily.missing_extra(ModuleNotFoundError(name="numpy")) == ""


def test_no_dependency_is_left_that_nothing_imports() -> None:
    base, extras = declared()
    unused = base - imported() - {"defusedxml"}  # openpyxl uses defusedxml where it is installed
    assert unused == set()
    assert extras["dev"] >= {"pytest", "ruff", "mypy", "setuptools"}


def test_an_extra_that_is_missing_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pandas as pd

    data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": [0.01, 0.02, 0.03, 0.01]})
    plot = tsr.funnel_plot(tsr.random_effects("yi ~ 1", data))
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(tsr.UserError, match=r"this needs typst.*tsr-replication\[pdf\]"):
        plot.save(tmp_path / "figure.png")
    assert plot.save(tmp_path / "figure.svg").exists()


def test_outside_a_checkout_the_dataset_is_the_one_that_was_carried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    with pytest.raises(tsr.UserError, match="there is no folder"):
        tsr.load_dataset()
    assert project._data_folder() == ROOT / "replication" / "carried"
    with pytest.raises(tsr.UserError, match="pass data= with a project"):
        tsr.run_analyses("roorda2017")


def test_no_two_files_differ_in_case_alone_and_every_name_is_one_on_windows() -> None:
    """A checkout on a system that folds case, or knows fewer names, holds every file."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    names = [name for name in listed.stdout.split("\0") if name]
    assert len({name.casefold() for name in names}) == len(names) > 500
    reserved = re.compile(r'(?i)(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)|[<>:"|?*\\]|[ .](/|$)')
    assert [name for name in names if reserved.search(name)] == []


def test_one_version_stands_in_every_record() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert zenodo["version"] == version and zenodo["title"] in citation
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

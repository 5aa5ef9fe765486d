"""Imports run one way, in the order the design gives; statistics never import data, data never import statistics."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import replication
from replication.dataset import Dataset
from replication.lazily import _EXTRAS

PACKAGE = Path(replication.__file__).parent
ORDER = (
    "labels",
    "errors",
    "lazily",
    "command_line",
    "paths",
    "digests",
    "formulas",
    "writing",
    "printed",
    "effects",
    "models",
    "dataset",
    "claims",
    "analysis",
    "evidence",
    "provenance",
    "results",
    "stored",
    "report",
    "terminal",
    "workers",
    "workflow",
    "frames",
    "study",
    "run",
    "roles",
    "new_topic",
)
PLAIN_WORDS = {"positive", "negative", "relationship"}  # also said of numbers, and of what a finding is about
APART = {"effects": {"dataset", "paths"}, "models": {"dataset", "paths"}, "dataset": {"effects", "models"}}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "replication":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("replication."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("replication.")}
    return names


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_part_has_its_place() -> None:
    parts = {part_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert parts <= set(ORDER), f"give {parts - set(ORDER)} a place in the order"


def test_imports_run_one_way() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in sorted(imported(path))
        if part_of(path) != "__init__" and ORDER.index(name) > ORDER.index(part_of(path))
    ]
    assert wrong == []


def test_statistics_and_data_do_not_know_each_other() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in sorted(imported(path))
        if name in APART.get(part_of(path), set())
    ]
    assert wrong == []


def test_the_architecture_page_leads_to_files_that_are_there() -> None:
    """Where to change what: every file and folder the page names, by its path in the checkout or in the package."""
    root = PACKAGE.parent
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w.]+(?:/[\w.]+)+/?)`", page))
    assert len(named) > 15
    assert [path for path in sorted(named) if not ((root / path).exists() or (PACKAGE / path).exists())] == []


def test_a_file_name_says_which_file_is_meant() -> None:
    """Within a room a name stands once, in the whole package twice at most; who opens `design.py` knows whose."""
    names = [(part_of(path), path.name) for path in PACKAGE.rglob("*.py") if not path.name.startswith("__")]
    assert sorted(name for name, count in Counter(names).items() if count > 1) == []
    assert sorted(name for name, count in Counter(name for _, name in names).items() if count > 2) == []


def test_the_rooms_that_answer_and_show_name_nothing_of_this_topic(dataset: Dataset) -> None:
    """No construct of the vocabulary and no work of the dataset is a literal there: another topic has its own."""
    ours = {*dataset.vocabulary.constructs, *dataset.works} - PLAIN_WORDS
    rooms = ("analysis", "evidence", "report", "study/exporting")
    found = {
        (path.relative_to(PACKAGE).as_posix(), node.value)
        for room in rooms
        for path in (PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in ours
    }
    assert found == set()


WITHOUT_EXTRAS = """
import importlib, pkgutil, sys
absent = set(sys.argv[1:])
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import replication
for module in pkgutil.walk_packages(replication.__path__, "replication."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
every = [getattr(replication, name) for name in replication.__all__]
from replication.models.two_level.random_effects import fit_random_effects
print(len(every), fit_random_effects([0.1, 0.3, 0.5], [0.01, 0.02, 0.03]).k)
"""


def test_the_core_imports_where_no_extra_is_installed() -> None:
    """Sampling, PDF, figures in matplotlib and survey readers are asked for where they are used, never at import."""
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *_EXTRAS]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-800:]
    assert run.stdout.split() == [str(len(replication.__all__)), "3"]

"""Which planted faults do the tests catch? A seeded sample of cosmic-ray's mutants, room by room.

`python -m benchmarks.mutation effects --mutants 100` plants each fault in a copy of the checkout, runs the tests named
for the file, and prints the share killed with every survivor as a diff. A long command, never part of CI.

The libraries are loaded once and every fault gets a fork of that process: loading them again would take longer than
the tests. A fault that outlasts the limit of processor time counts as killed: somebody would have seen the standstill.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import importlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins
import pytest
from cosmic_ray.mutating import use_mutation

ROOT = Path(__file__).parent.parent
# Mutants of annotations (`a | b`) and of operators nobody types by mistake say nothing about the tests.
FAIR = (
    "NumberReplacer", "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "Mul_Add", "Lt_LtE", "LtE_Lt", "Gt_GtE",
    "GtE_Gt", "Lt_Gt", "Gt_Lt", "Eq_NotEq", "NotEq_Eq", "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "UAdd_USub", "USub_UAdd", "Delete_USub", "Delete_Not", "USub_Not",
)  # fmt: skip


LIBRARIES = (
    "numpy", "pandas", "scipy.stats", "scipy.optimize", "statsmodels.api", "hypothesis", "pydantic",
    "_hypothesis_pytestplugin", "xdist.plugin", "typeguard", "hypothesis.extra.numpy", "babel.numbers",
)  # fmt: skip
SECONDS = 80


@dataclass(frozen=True)
class Room:
    """Files that get faults, and the tests that should notice them beside their own doctests, quickest first."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


E, F = "replication/evidence", "tests/findings"
T = "replication/models/two_level"
LIMITS, EDGES = "tests/unit/test_two_level_limits.py", "tests/unit/test_random_effects_edges.py"
DELETED, ROORDA = "tests/properties/test_deletion.py", "tests/reference/test_metafor_5_roorda.py"
METAFOR, LAWS = "tests/reference/test_metafor_random_effects.py", "tests/properties/test_random_effects_properties.py"
WEIGHTS, MORE_TAU2 = "tests/reference/test_metafor_weights.py", "tests/reference/test_metafor_tau2_more.py"
ROOMS = {
    "effects": (
        Room(
            ("replication/effects",),
            (
                "tests/unit/test_effect_sizes.py",
                "tests/unit/test_effect_limits.py",
                "tests/reference/test_metafor_effect_sizes.py",
                "tests/reference/test_metafor_more_measures.py",
                "tests/reference/test_metafor_dependence.py",
                "tests/reference/test_metafor_latent.py",
                "tests/reference/test_metafor_printed_summaries.py",
                "tests/unit/test_block_covariance.py",
            ),
        ),
    ),
    "two_level": (
        Room((f"{T}/count_models.py", f"{T}/count_likelihoods.py"), (LIMITS, "tests/reference/test_metafor_counts.py")),
        Room((f"{T}/location_scale.py",), (LIMITS, "tests/reference/test_metafor_location_scale.py")),
        Room((f"{T}/resampling.py",), (LIMITS, "tests/reference/test_metafor_permutation.py")),
        Room((f"{T}/deletion.py",), (DELETED, LIMITS)),
        Room((f"{T}/influence.py",), (LIMITS, DELETED, EDGES, ROORDA, METAFOR)),
        Room((f"{T}/batch.py",), (LIMITS, EDGES, DELETED, WEIGHTS, LAWS)),
        Room((f"{T}/intervals.py",), (LIMITS, EDGES, ROORDA, METAFOR, LAWS)),
        Room((f"{T}/random_effects.py",), (LIMITS, EDGES, ROORDA, METAFOR, WEIGHTS, LAWS)),
        Room((f"{T}/tau2.py",), (LIMITS, EDGES, ROORDA, METAFOR, MORE_TAU2, LAWS)),
    ),
    "claims": (
        Room(
            ("replication/claims.py", "replication/printed.py"),
            ("tests/unit/test_claims.py", "tests/unit/test_printed.py", "tests/properties/test_printed_properties.py"),
        ),
    ),
    "selection": (
        Room(
            ("replication/dataset/selection.py", "replication/dataset/row_versions.py"),
            ("tests/data/test_selection.py", "tests/data/test_row_successors.py"),
        ),
    ),
    "findings": (
        Room((f"{E}/certainty.py",), (f"{F}/test_certainty_rules.py",)),
        Room((f"{E}/protocol.py",), (f"{F}/test_protocol_decides.py",)),
        Room(
            (f"{E}/question.py",),
            ("tests/unit/test_findings.py", f"{F}/test_protocol_decides.py", "tests/unit/test_findings_versions.py"),
        ),
        Room((f"{E}/confounding.py",), (f"{F}/test_confounding.py",)),
        Room((f"{E}/design_effects.py",), (f"{F}/test_design_effects.py",)),
        Room((f"{E}/direction_support.py",), (f"{F}/test_direction_support.py",)),
        Room((f"{E}/reliability.py",), (f"{F}/test_reliability.py",)),
        Room((f"{E}/risk_of_bias.py",), (f"{F}/test_risk_of_bias.py",)),
        Room((f"{E}/answer.py",), (f"{F}/test_pair_shares.py", f"{F}/test_one_answer.py")),
        Room(
            tuple(f"{E}/{name}.py" for name in ("prediction", "prior", "change", "published")),
            (f"{F}/test_prediction.py", f"{F}/test_prior.py", f"{F}/test_one_answer.py", "tests/unit/test_findings.py"),
        ),
        Room(
            tuple(f"{E}/{name}.py" for name in ("bias", "bias_averages", "bias_models", "bodies")),
            (f"{F}/test_bias_numbers.py", f"{F}/test_publication_bias.py"),
        ),
        Room((f"{E}/levels.py",), (f"{F}/test_levels.py",)),
        Room((f"{E}/pooling.py",), ("tests/unit/test_pooling.py",)),
        Room((f"{E}/multiverse.py",), ("tests/unit/test_multiverse.py",)),
    ),
}


# Rooms whose tests ask for the project's dataset, and no file of which is read in loading it.
ABOVE_THE_DATASET = ("findings",)


def main() -> None:
    """Plant, test and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # forks need not look through what the libraries hold
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", ".cache", "reports", ".mypy_cache"))
        (copy / "reports").mkdir()
        os.chdir(copy)
        if asked.room in ABOVE_THE_DATASET:
            _load_dataset(copy)
        killed, survivors = _tried(copy, ROOMS[asked.room], asked.mutants, asked.seed)
    total = killed + survivors
    print(f"{asked.room}, seed {asked.seed}: {killed} of {total} killed ({100 * killed / max(total, 1):.0f} %)")


def _load_dataset(copy: Path) -> None:
    """Load the dataset of the copy for all forks: each would take longer for it than for most of its tests."""
    sys.path.insert(0, str(copy))
    dataset = importlib.import_module("replication.dataset")
    plain, folder = dataset.load_dataset, importlib.import_module("replication.paths").data_dir()
    loaded = plain(folder)
    dataset.load_dataset = lambda root: loaded if root == folder else plain(root)
    if evidence := [name for name in sys.modules if name.startswith("replication.evidence")]:
        raise SystemExit(f"loading the dataset reads {evidence[0]}, so a fault in it would stay unseen")


def _tried(copy: Path, rooms: Sequence[Room], mutants: int, seed: int) -> tuple[int, int]:
    """How many faults were noticed, and how many were not; those are printed as diffs."""
    tests = {path: room.tests for room in rooms for path in _files(copy, room)}
    planted = _sample(list(_faults(copy, tests)), mutants, seed)
    for chosen in sorted({tests[path] for path, _, _ in planted}):
        untouched = sorted({path for path, _, _ in planted if tests[path] == chosen})
        if not _passes(copy, untouched, chosen, shown=True):
            raise SystemExit(f"the tests of {', '.join(untouched)} fail before any fault is planted")
    survivors = []
    for path, operator, occurrence in planted:
        with use_mutation(Path(path), cosmic_ray.plugins.get_operator(operator)(), occurrence) as (before, after):
            kept = _passes(copy, [path], tests[path])
            # At once and not only at the end: a run that is stopped has said what it found.
            print("survived" if kept else "killed", path, operator, occurrence, flush=True)
            if kept:
                lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path, path, "", operator, 1, "")
                survivors.append("\n".join(lines))
                print(survivors[-1], flush=True)
    return len(planted) - len(survivors), len(survivors)


def _files(copy: Path, room: Room) -> Iterator[str]:
    for name in room.files:
        found = sorted((copy / name).rglob("*.py")) if (copy / name).is_dir() else [copy / name]
        yield from (path.relative_to(copy).as_posix() for path in found if path.name != "__init__.py")


def _passes(copy: Path, paths: Sequence[str], tests: Sequence[str], *, shown: bool = False) -> bool:
    """Whether the doctests of files and their tests pass, in a fork that has read none of the package yet."""
    child = os.fork()
    if child == 0:
        if not shown:
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
        # Of the processor, not of the clock: on a busy machine a wait is no standstill.
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(20 * SECONDS)
        sys.dont_write_bytecode = True  # a fault that keeps a file's size and second would be read from the cache
        sys.path.insert(0, str(copy))
        # Libraries loaded before pytest are no fault of the tests.
        quiet = ("-W", "ignore:Module already imported")
        code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *quiet, "--doctest-modules", *paths, *tests]))
        sys.stdout.flush()  # a fork that ends at once takes what it has not written with it
        os._exit(code)
    return os.waitpid(child, 0)[1] == 0


Fault = tuple[str, str, int]


def _faults(copy: Path, tests: dict[str, tuple[str, ...]]) -> Iterator[Fault]:
    """Every fair fault of the files: file, operator, and at which of its places."""
    files = ", ".join(f'"{name}"' for name in tests)
    config = copy / "mutation.toml"
    config.write_text(
        f"[cosmic-ray]\nmodule-path = [{files}]\ntimeout = {SECONDS}.0\nexcluded-modules = []\n"
        'test-command = ""\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    subprocess.run(
        [sys.executable, "-m", "cosmic_ray.cli", "init", config.name, "session.sqlite"], cwd=copy, check=True
    )
    with sqlite3.connect(copy / "session.sqlite") as database:
        found = database.execute(
            "select module_path, operator_name, occurrence, start_pos_row from mutation_specs "
            "order by module_path, operator_name, occurrence"
        ).fetchall()
    lines = {path: (copy / path).read_text().splitlines() for path in tests}
    for path, operator, occurrence, line in found:
        text = lines[path][line - 1]
        # The lone star of a signature is read as a multiplication; `strict=True` shows in nothing that is right, and
        # how much a cache holds shows in time alone.
        silent = text.strip() == "*," or ("True" in operator and "strict=True" in text)
        silent = silent or text.lstrip().startswith(("@dataclass", "@lru_cache"))
        if any(operator.endswith(name) for name in FAIR) and not silent:
            yield path, operator, occurrence


def _sample(faults: list[Fault], mutants: int, seed: int) -> list[Fault]:
    return sorted(random.Random(seed).sample(faults, min(mutants, len(faults))))


if __name__ == "__main__":
    main()

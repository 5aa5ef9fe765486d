"""Which planted faults do the tests catch? A seeded sample of cosmic-ray's mutants, room by room.

`python -m benchmarks.mutation effects --mutants 100` plants each fault in a copy of the checkout, runs the tests named
for the room, and prints the share killed with every survivor as a diff. A long command, never part of CI.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Mutants of annotations (`a | b`) and of operators nobody types by mistake say nothing about the tests.
FAIR = (
    "NumberReplacer", "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "Mul_Add", "Lt_LtE", "LtE_Lt", "Gt_GtE",
    "GtE_Gt", "Lt_Gt", "Gt_Lt", "Eq_NotEq", "NotEq_Eq", "AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "UAdd_USub", "USub_UAdd", "Delete_USub", "Delete_Not", "USub_Not",
)  # fmt: skip


@dataclass(frozen=True)
class Room:
    """Files that get faults, and the tests that should notice, quickest first."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = {
    "effects": Room(
        ("replication/effects",),
        ("replication/effects", "tests/unit/test_effect_sizes.py", "tests/reference/test_metafor_effect_sizes.py"),
    ),
    "two_level": Room(
        ("replication/models/two_level",),
        (
            "replication/models/two_level",
            "tests/unit/test_random_effects_edges.py",
            "tests/reference/test_metafor_5_roorda.py",
            "tests/reference/test_metafor_random_effects.py",
            "tests/properties/test_random_effects_properties.py",
        ),
    ),
    "claims": Room(
        ("replication/claims.py", "replication/printed.py"),
        (
            "replication/claims.py",
            "replication/printed.py",
            "tests/unit/test_claims.py",
            "tests/unit/test_printed.py",
            "tests/properties/test_printed_properties.py",
            "tests/published",
        ),
    ),
    "selection": Room(
        ("replication/dataset/selection.py", "replication/dataset/row_versions.py"),
        ("replication/dataset", "tests/data"),
    ),
    "findings": Room(("replication/evidence",), ("tests/findings", "replication/evidence")),
}


def main() -> None:
    """Plant, test and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", ".cache", "reports", ".mypy_cache"))
        (copy / "reports").mkdir()
        killed, survivors = _tried(copy, ROOMS[asked.room], asked.mutants, asked.seed)
    total = killed + len(survivors)
    print(f"{asked.room}: {killed} of {total} killed ({100 * killed / max(total, 1):.0f} %)")
    print("\n\n".join(survivors))


def _tried(copy: Path, room: Room, mutants: int, seed: int) -> tuple[int, list[str]]:
    """How many faults were noticed, and those that were not, as diffs."""
    session = copy / "session.sqlite"
    config = copy / "mutation.toml"
    tests = " ".join(room.tests)
    files = ", ".join(f'"{name}"' for name in room.files)
    config.write_text(
        f"[cosmic-ray]\nmodule-path = [{files}]\ntimeout = 180.0\nexcluded-modules = []\n"
        f'test-command = "{sys.executable} -m pytest -q -x -p no:cacheprovider --doctest-modules {tests}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    _cosmic_ray(copy, "init", config.name, session.name)
    _sample(session, mutants, seed)
    _cosmic_ray(copy, "exec", config.name, session.name)
    with sqlite3.connect(session) as database:
        rows = database.execute("select test_outcome, diff from work_results").fetchall()
    survivors = [diff for outcome, diff in rows if "SURVIVED" in str(outcome).upper()]
    return len(rows) - len(survivors), survivors


def _cosmic_ray(copy: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "cosmic_ray.cli", *arguments], cwd=copy, check=True)


def _sample(session: Path, mutants: int, seed: int) -> None:
    """Keep a random sample of the fair mutants."""
    with sqlite3.connect(session) as database:
        order = (
            "select job_id, operator_name, module_path, start_pos_row from mutation_specs order by module_path, rowid"
        )
        rows = database.execute(order).fetchall()
        lines = {path: (session.parent / path).read_text().splitlines() for path in {row[2] for row in rows}}
        fair = [
            job
            for job, operator, path, line in rows
            if any(operator.endswith(name) for name in FAIR) and "@dataclass" not in lines[path][line - 1]
        ]
        kept = set(random.Random(seed).sample(fair, min(mutants, len(fair))))
        for job, *_ in rows:
            if job not in kept:
                database.execute("delete from mutation_specs where job_id = ?", (job,))
                database.execute("delete from work_items where job_id = ?", (job,))


if __name__ == "__main__":
    main()

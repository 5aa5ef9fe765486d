"""Every stored survey row from its public file: `make evidence FILES=folder`, minutes.

The files are public and none is kept here: put those you have into a folder, in any arrangement. Each recipe whose
files are there is computed and compared with what is stored, within and between schools too; the others are listed with
the address their recipe names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from replication.dataset import Dataset, load_dataset
from replication.dataset.recipes import Recipe
from replication.errors import UserError
from replication.paths import data_dir
from replication.study.computing import compare_with_stored, computed_lines


def found_files(recipe: Recipe, held: dict[str, Path]) -> list[Path]:
    """The recipe's files by name; empty unless all are there."""
    names = [name.rsplit("/", 1)[-1] for name in recipe.file]
    return [held[name] for name in names] if all(name in held for name in names) else []


def lines(dataset: Dataset, held: dict[str, Path]) -> Iterator[tuple[bool, str]]:
    """Whether a recipe came out as stored (or could not be tried), and a line on it."""
    for work, recipes in dataset.recipes.items():
        for recipe in recipes:
            paths = found_files(recipe, held)
            if not paths:
                yield True, f"{recipe.sample}: not tried, no file {'; '.join(recipe.file)} ({recipe.source})"
                continue
            try:
                found = compare_with_stored(dataset, work, recipe, paths, recipe.sample, levels=bool(recipe.cluster))
            except UserError as error:
                yield False, f"{recipe.sample}: {error}"
                continue
            yield found.reproduced, f"{recipe.sample}: {list(computed_lines(found))[-1]}"


def main() -> int:
    """Print a line a recipe; 1 where something stored does not come out."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.stderr.write("name the folder of the public files: make evidence FILES=folder\n")
        return 1
    held = {path.name: path for path in sorted(Path(sys.argv[1]).rglob("*")) if path.is_file()}
    right = True
    for good, line in lines(load_dataset(data_dir()), held):
        right &= good
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0 if right else 1


if __name__ == "__main__":
    raise SystemExit(main())

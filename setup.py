"""Everything is declared in pyproject.toml; only this is code: the wheel carries the dataset beside the package."""

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py


class CarryDataset(build_py):
    """Copies data/references to replication/carried of the wheel, so that `load_dataset()` works outside a checkout."""

    def run(self) -> None:
        super().run()
        here = Path(__file__).parent / "data" / "references"
        if here.is_dir() and not self.editable_mode:
            target = Path(self.build_lib) / "replication" / "carried"
            copytree(here, target, dirs_exist_ok=True, ignore=ignore_patterns(".*", "*.lock", "*.tmp"))


setup(cmdclass={"build_py": CarryDataset})

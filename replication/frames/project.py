"""The dataset, the stored findings, and the analyses of the package, from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from replication import paths
from replication.dataset.loading import load_dataset as load
from replication.dataset.model import Dataset
from replication.errors import UserError

__all__ = ["findings", "load_dataset", "run_analyses"]


def load_dataset(folder: str | Path | None = None) -> Dataset:
    """The dataset under `folder`, by default the one that came with the package.

    Its tables are data frames: `load_dataset().tables["effects.csv"]`.

    Raises
    ------
    DataError
        With every problem found, by file, row and column.
    """
    root = Path(folder) if folder is not None else _data_folder()
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; pass the folder that holds the works of a dataset.")
    return load(root)


def findings(report: str | Path | None = None) -> pd.DataFrame:
    """Every estimate of the findings in a stored report, a row each: finding, id, label, value, interval, k, method.

    Parameters
    ----------
    report : folder of a report, by default `reports/latest`, or the newest release where there is none
    """
    folder = Path(report) if report is not None else _newest_report()
    rows = []
    for path in sorted(folder.glob("**/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        # A report folder holds other JSON as well; only outcomes of findings have that kind.
        if isinstance(record, dict) and record.get("kind") == "finding":
            rows += [{"finding": record["id"], **_row(estimate)} for estimate in record["estimates"]]
    if not rows:
        raise UserError(f"no findings are stored under {folder}; make them with: python -m replication.run")
    return pd.DataFrame(rows)


def run_analyses(*analyses: str, data: str | Path | None = None, seed: int = 2024) -> dict[str, object]:
    """Run analyses by id and return their outcomes (estimates, checks, tables, figures as plain records).

    Raises `UserError` for an unknown id, with the nearest one; outside a checkout there are no analyses to run.

    The command `python -m replication.run` does the same in parallel and writes the report.
    """
    from replication.analysis.outcome import Context
    from replication.analysis.running import analysis_files, choose, load_analysis, run_analysis

    folder = paths.analyses_dir()
    if not folder.is_dir():
        raise UserError("there are no analyses beside the installed package; run from a checkout of the project.")
    if not analyses:
        raise UserError("run_analyses() wants ids, such as run_analyses('roorda2017'); list them with --list.")
    root = Path(data) if data is not None else _data_folder()
    context = Context(load_dataset(root), seed)
    chosen = choose(analysis_files(folder, root), analyses)
    return {name: run_analysis(load_analysis(path), context) for name, path in chosen.items()}


def _newest_report() -> Path:
    """`latest`, or the release with the highest number."""
    latest = paths.reports_dir() / "latest"
    releases = [path for path in paths.reports_dir().glob("v*") if path.name[1:].replace(".", "").isdigit()]
    if (latest / "outcomes").is_dir() or not releases:
        return latest
    # As numbers: v1.10.0 is newer than v1.9.0, and as text it is not.
    return max(releases, key=lambda path: [int(part) for part in path.name[1:].split(".")])


def _data_folder() -> Path:
    """The dataset of the checkout, or the copy that the wheel carries."""
    checkout = paths.data_dir()
    return checkout if checkout.is_dir() else Path(__file__).parent.parent / "carried"


def _row(estimate: dict[str, object]) -> dict[str, object]:
    shown = "id label group metric value low high prediction_low prediction_high tau2 I2 k samples level"
    return {name: estimate.get(name) for name in shown.split()}

"""The dataset, the stored findings, and the analyses of the package, from Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from replication import paths
from replication.dataset.loading import load_dataset as load
from replication.dataset.model import Dataset
from replication.errors import UserError
from replication.stored import outcome_paths, read_outcome

__all__ = ["findings", "load_dataset", "run_analyses", "run_project"]


def load_dataset(folder: str | Path | None = None) -> Dataset:
    """The dataset under `folder`, a folder of works or a whole project; by default the one that came with the package.

    Its tables are data frames: `load_dataset().tables["effects.csv"]`.

    Raises
    ------
    DataError
        With every problem found, by file, row and column.
    """
    root = Path(folder) if folder is not None else _data_folder()
    if not root.is_dir():
        raise UserError(f"there is no folder {root}; pass the folder that holds the works of a dataset, or a project.")
    return load(paths.data_dir(root) if paths.is_project(root) else root)


def findings(report: str | Path | None = None) -> pd.DataFrame:
    """Every estimate of the findings in a stored report, a row each: finding, id, label, value, interval, k, method.

    Parameters
    ----------
    report : folder of a report, by default `reports/latest`, or the newest release where there is none
    """
    folder = Path(report) if report is not None else _newest_report()
    rows = []
    for path in outcome_paths(folder).values():
        record = read_outcome(path)
        if isinstance(record, dict) and record.get("kind") == "finding":
            rows += [{"finding": record["id"], **_row(estimate)} for estimate in record["estimates"]]
    if not rows:
        raise UserError(f"no findings are stored under {folder}; make them with: python -m replication.run")
    return pd.DataFrame(rows)


def run_analyses(*analyses: str, data: str | Path | None = None, seed: int = 2024) -> dict[str, object]:
    """Run analyses by id and return their outcomes (estimates, checks, tables, figures as plain records).

    `data` is a folder of works, or a project with analyses of its own. Raises `UserError` for an unknown id, with the
    nearest one; outside a checkout there are no analyses but those of a project that is passed.

    `run_project` and the command `python -m replication.run` do the same in parallel and write the report.
    """
    if data is not None and paths.is_project(Path(data)):
        with paths.working_on(Path(data)):
            return _outcomes(analyses, paths.data_dir(), seed)
    return _outcomes(analyses, Path(data) if data is not None else _data_folder(), seed)


def run_project(
    project: str | Path | None = None, *, out: str | Path | None = None, sampling: bool = False, seed: int = 2024
) -> Path:
    """Run every analysis of a project, write its report and return the report's folder; `findings` reads it.

    Parameters
    ----------
    project : a folder with `data/references` and `analyses/`, as `python -m replication.new_topic` makes it; by default
        the checkout.
    out : folder of the report, by default `reports/latest` of the project.
    sampling : whether models that sample (PyMC) run too.

    Raises
    ------
    UserError
        when there is no such project, the data have an error, or an analysis failed; the message names the analysis and
        the reason, and the report of everything else is written.
    """
    from replication.workflow import Request, make_report

    root = Path(project) if project is not None else paths.project_root()
    if not paths.is_project(root):
        raise UserError(
            f"{root} is no project: it lacks data/references or analyses; make one with: "
            f"python -m replication.new_topic DIR"
        )
    with paths.working_on(root):
        report = Path(out).absolute() if out is not None else paths.reports_dir() / "latest"
        # One process: in an interpreter that is at work, a fork may take a lock along.
        request = Request(ids=(), data=paths.data_dir(), out=report, jobs=1, seed=seed, sampling=sampling, quiet=True)
        if make_report(request):
            record = json.loads((report / "run.json").read_text(encoding="utf-8"))
            failed = "; ".join(f"{name}: {reason}" for name, reason in record["failed"].items())
            raise UserError(f"{failed}; everything else is in {report}")
    return report


def _outcomes(analyses: Sequence[str], root: Path, seed: int) -> dict[str, object]:
    from replication.analysis.outcome import Context
    from replication.analysis.running import analysis_files, choose, load_analysis, run_analysis

    folder = paths.analyses_dir()
    if not folder.is_dir():
        raise UserError(
            "there are no analyses beside the installed package; run from a checkout, or pass data= with a project."
        )
    if not analyses:
        raise UserError("run_analyses() wants ids, such as run_analyses('roorda2017'); list them with --list.")
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

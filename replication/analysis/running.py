"""Finds the analysis files, runs them and turns their findings into outcomes with verdicts."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
import traceback
import types
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from replication import paths
from replication.analysis.outcome import Analysis, Context, Findings, Outcome
from replication.analysis.placing import check_placed
from replication.analysis.printed_answers import centred_interval, missing, printed_only
from replication.claims import Answer, Check, Claim, ClaimIndex, Reason, claims_by_id, claims_of, judge
from replication.dataset import Dataset, view_of
from replication.dataset.problems import nearest
from replication.errors import DataError, UserError

__all__ = ["analysis_files", "choose", "load_analysis", "run_analysis", "run_part"]

Kind = TypeVar("Kind")


def analysis_files(folder: Path, data: Path) -> dict[str, Path]:
    """Every analysis by id and the file that declares it, reproductions before findings.

    A work that only prints numbers, of which nothing can be computed, needs no code: `printed_only` in the `work.toml`
    of the dataset in `data` declares it. A file under `folder/reproductions` goes before such a line.

    Raises
    ------
    UserError
        when there is no such folder: a run without analyses would be a report of nothing.
    """
    if not folder.is_dir():
        raise UserError(
            f"there are no analyses ({folder} is no folder); name a project with --data DIR (python -m "
            f"replication.new_topic DIR makes one), or run this in a checkout"
        )
    works = {path.parent.name: path for path in data.glob("*/work.toml") if _printed_only_name(path)}
    files = {kind: _python_files(folder / kind) for kind in ("reproductions", "findings", "simulated")}
    # In this order: a file of its own takes the place of the line in work.toml.
    reproductions = works | files["reproductions"]
    return dict(sorted(reproductions.items())) | files["findings"] | files["simulated"]


def _python_files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}


def _printed_only_name(path: Path) -> str:
    """The `printed_only` of a `work.toml`; empty where there is none, or where the check has to say what is wrong."""
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("printed_only", ""))
    except (OSError, ValueError, RecursionError):
        return ""


def choose(files: Mapping[str, Path], ids: Sequence[str]) -> dict[str, Path]:
    """The files of the asked ids, or all; an unknown id raises UserError with the nearest one."""
    for asked in ids:
        if asked not in files:
            raise UserError(f'no analysis "{asked}": {nearest(asked, files)}; --list shows them all')
    return {name: path for name, path in files.items() if not ids or name in ids}


def load_analysis(path: Path) -> Analysis:
    """The analysis a file declares: the `ANALYSIS` of a Python file, or the `printed_only` of a work's `work.toml`.

    Raises
    ------
    UserError
        when the file cannot be run or declares none; the message names file and reason.
    """
    if path.suffix == ".toml":
        return printed_only(path.parent.name, _printed_only_name(path))
    _stand_for_analyses(path.parent.parent)
    name = f"analyses.{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: dataclasses look their module up while they are made.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a file does on loading, it is that file's fault
        raise UserError(f"{path.parent.name}/{path.name} cannot be loaded: {error}") from error
    analysis = getattr(module, "ANALYSIS", None)
    if not isinstance(analysis, Analysis) or analysis.id != path.stem:
        raise UserError(f'{path.parent.name}/{path.name} must declare ANALYSIS = Analysis(id="{path.stem}", ...)')
    return analysis


def _stand_for_analyses(folder: Path) -> None:
    """Let `from analyses.shared.x import y` in an analysis mean the modules beside it, in its own project."""
    known = sys.modules.get("analyses")
    if known is not None and list(known.__path__) == [str(folder)]:
        return
    # Another project has modules of the same names: what was imported of the one before is forgotten.
    for name in [name for name in sys.modules if name == "analyses" or name.startswith("analyses.")]:
        del sys.modules[name]
    package = types.ModuleType("analyses")
    package.__path__ = [str(folder)]
    sys.modules["analyses"] = package


def run_analysis(analysis: Analysis, context: Context) -> Outcome:
    """Run one analysis on what it reads of the dataset, and judge every claim of the works it answers for."""
    # What it is not given it cannot depend on: results are kept under the digest of the view alone.
    begun = replace(context, data=view_of(context.data, analysis.reads), postponed=[*dict.fromkeys(context.postponed)])
    context = replace(begun, parts=_Parts(begun, analysis, context.parts))
    dataset = context.data
    findings = _found(analysis, context)
    claims = [claim for work in analysis.claims for claim in claims_of(dataset, work)]
    index = claims_by_id(dataset)
    check_placed(analysis, findings, dataset, index)
    answers = _living(findings.answers, index)
    stray = set(answers) - {claim.id for claim in claims}
    if stray:
        raise DataError(f"{analysis.id} answers claims it does not declare: {', '.join(sorted(stray))}")
    recorded = {claim: Reason(e.reason, e.at_most) for e in dataset.explanations for claim in e.claims}
    reasons = _living(recorded, index)
    checks = tuple(_check(claim, answers, dataset, reasons) for claim in claims)
    return Outcome(
        id=analysis.id,
        kind=analysis.kind,
        title=analysis.title,
        question=analysis.question,
        digest="",  # who keeps it knows what it is made from
        checks=checks,
        estimates=findings.estimates,
        tables=findings.tables,
        figures=findings.figures,
        sentences=findings.sentences,
        exclusions=findings.exclusions,
        draws=findings.draws,
        postponed=tuple(context.postponed),
    )


def run_part(analysis: Analysis, name: str, context: Context) -> object:
    """What one part of an analysis gives, on what the analysis reads of the dataset."""
    return analysis.parts[name](replace(context, data=view_of(context.data, analysis.reads)))


class _Parts(dict[str, object]):
    """What the parts of an analysis give, by name: those not at hand are computed when they are first asked for."""

    def __init__(self, context: Context, analysis: Analysis, known: Mapping[str, object]) -> None:
        super().__init__(known)
        self._context, self._analysis = context, analysis

    def __missing__(self, name: str) -> object:
        self[name] = self._analysis.parts[name](self._context)
        return self[name]


def _found(analysis: Analysis, context: Context) -> Findings:
    """What the analysis finds; a row or claim that it names and the dataset lacks is an error of the data."""
    try:
        return analysis.run(context)
    except KeyError as error:
        frames = traceback.extract_tb(error.__traceback__)
        asked = Path(frames[-1].filename)
        ours = (Path(__file__).parent, paths.analyses_dir() / "shared")
        # A KeyError of a library is a fault of the code, and its traceback is wanted; only a look-up of ours tells of
        # data.
        if asked.stem != analysis.id and asked.parent not in ours:
            raise
        name = error.args[0] if error.args else ""
        raise DataError(
            f'{analysis.id} needs "{name}", which the dataset does not have; restore the row, or mend the analysis'
        ) from None


def _living(said: Mapping[str, Kind], index: ClaimIndex) -> dict[str, Kind]:
    """What is said of claims, under the id each has in this version; of a claim that is in none, nothing is said.

    What is said of the id of today goes before what is said of one of its earlier ids.
    """
    found: dict[str, Kind] = {}
    for name, said_of_it in said.items():
        living = index.living(name)
        # An analysis may name a claim by the id it had when it was written, and by that of today.
        if living is not None and (living == name or living not in found):
            found[living] = said_of_it
    return found


def _check(claim: Claim, answers: Mapping[str, Answer], dataset: Dataset, reasons: Mapping[str, Reason]) -> Check:
    answer = answers.get(claim.id)
    if answer is None:
        # Nobody answered it: its own interval may still speak, else what is on record of the work says what is missing.
        answer = centred_interval(claim) or missing(dataset, claim.work)
    return judge(claim, answer, reasons)

"""An analysis that fails costs nobody else anything: its outcome says that it failed, and why.

Such an outcome is plain data like every other, with empty results and one field more, `failed`. It is never stored.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from replication.analysis.outcome import Analysis, Context, plain
from replication.analysis.running import load_analysis, run_analysis, run_part
from replication.claims import Check, claims_of
from replication.dataset import Dataset
from replication.dataset.problems import shown
from replication.errors import UserError

__all__ = ["failed_outcome", "failures_of", "part_apart", "postponed_of", "reason_of", "run_apart"]

OutcomeData = dict[str, Any]
_KINDS = {"reproductions": "reproduction", "findings": "finding", "simulated": "simulated"}
_LISTS = ("checks", "estimates", "tables", "figures", "sentences", "exclusions", "postponed")
_LONGEST = 600


def run_apart(
    name: str, path: Path, context: Context, parts: Mapping[str, bytes] = MappingProxyType({})
) -> OutcomeData:
    """The outcome of the analysis a file declares, as plain data; of one that fails, an outcome that says so.

    `parts` are what `part_apart` gave of it.
    """
    analysis = None
    try:
        analysis = load_analysis(path)
        held = {part: pickle.loads(parts[part]) for part in analysis.parts if parts.get(part)}
        lacking = [name for _, postponed in held.values() for name in postponed]
        context = replace(context, parts={part: found for part, (found, _) in held.items()}, postponed=lacking)
        result = plain(run_analysis(analysis, context))
    except (Exception, SystemExit) as error:  # whatever a file under analyses/ does wrong is its own failure
        return failed_outcome(name, path, reason_of(error), context.data, analysis)
    assert isinstance(result, dict)
    return result


def part_apart(path: Path, part: str, context: Context) -> bytes:
    """What a part of the analysis a file declares gives and what it postpones, pickled; empty where it fails.

    The analysis then computes it again by itself, and says what became of it.
    """
    try:
        # As bytes: the process in between need not know the classes of that file.
        return pickle.dumps((run_part(load_analysis(path), part, context), context.postponed))
    except (Exception, SystemExit):  # as in `run_apart`, which meets it again
        return b""


def failed_outcome(
    name: str, path: Path, reason: str, dataset: Dataset, analysis: Analysis | None = None
) -> OutcomeData:
    """The outcome of an analysis that failed: no results, and its claims wait.

    Parameters
    ----------
    name, path : its id, and the file that declares it.
    reason : why it failed, in a sentence.
    dataset : where its claims stand.
    analysis : what the file declares, where that could be read.
    """
    known = {
        "kind": analysis.kind if analysis else _KINDS.get(path.parent.name, "reproduction"),
        # Titles may be labels, and an outcome is plain data.
        "title": plain(analysis.title) if analysis else name,
        "question": plain(analysis.question) if analysis else "",
    }
    return {
        "id": name,
        **known,
        "digest": "",
        **{part: [] for part in _LISTS},
        "checks": _waiting(dataset, analysis, reason),
        "failed": reason,
    }


def postponed_of(outcomes: Iterable[Mapping[str, Any]]) -> Mapping[str, Sequence[str]]:
    """Slow results that outcomes lack, by the outcome's id; empty where none lacks any."""
    # Reports made by earlier versions have no such field: they lacked nothing.
    return {outcome["id"]: outcome["postponed"] for outcome in outcomes if outcome.get("postponed")}


def failures_of(outcomes: list[OutcomeData]) -> Mapping[str, str]:
    """Why analyses failed, by id; empty where none did."""
    return {outcome["id"]: outcome["failed"] for outcome in outcomes if outcome.get("failed")}


def reason_of(error: BaseException) -> str:
    """What went wrong, in a line: a user's error in its own words, any other with the place where it arose.

    >>> reason_of(UserError("no such sample; add it"))
    'no such sample; add it'
    """
    text = " ".join(str(error).split())
    words = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(error, UserError):
        return words
    # The last frame is where it arose, which is what a maintainer looks for first.
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {shown(words) if words else 'no further word'}{place}"


def _waiting(dataset: Dataset, analysis: Analysis | None, reason: str) -> object:
    """The claims it answers for, which nobody has answered in this run."""
    try:
        claims = [claim for work in (analysis.claims if analysis else ()) for claim in claims_of(dataset, work)]
    except Exception:  # the claims themselves may be what it failed on
        return []
    return plain([Check(claim, "PENDING", f"The analysis that answers it failed: {reason}") for claim in claims])

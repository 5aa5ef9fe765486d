"""Files that hold a study: which kind a file is, its check, and the copy with messages at their cells."""

from __future__ import annotations

from pathlib import Path

from replication.errors import UserError
from replication.study.checking import CheckReport
from replication.study.submission import Submission

__all__ = ["annotated_copy", "is_file_of_study", "read_submission"]

_KINDS = (".xlsx", ".json")


def is_file_of_study(name: str) -> bool:
    """Whether a name is that of a file to be handed in, not of a work.

    >>> is_file_of_study("smith2024.xlsx"), is_file_of_study("smith2024")
    (True, False)
    """
    # Also kinds that cannot be read: "save it as .xlsx" helps more than "no such work".
    return Path(name).suffix.lower() in (*_KINDS, ".xlsm", ".xls", ".ods", ".csv")


def read_submission(path: Path) -> Submission:
    """The study in a workbook or in the file the form has saved.

    Raises
    ------
    UserError
        when it is no such file, or cannot be read.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; give the path of the workbook or of the file the form has saved")
    kind = path.suffix.lower()
    if kind in (".xlsx", ".xlsm"):
        from replication.study.workbook_reading import read_workbook

        return read_workbook(path)
    if kind == ".json":
        from replication.study.saved_form import read_saved

        return read_saved(path)
    how = "LibreOffice: File, Save As, Excel 2007-365" if kind == ".ods" else "in most programs: Save as, Excel"
    raise UserError(f"{path.name} is neither .xlsx nor .json; save it as .xlsx ({how})")


def annotated_copy(path: Path, submission: Submission, report: CheckReport, root: Path) -> Path:
    """Write KEY.checked.xlsx beside a workbook: its rows at their places, every message on its cell."""
    from replication.dataset.loading import read_vocabulary
    from replication.study.tables import write_bytes
    from replication.study.workbook import Filled, workbook_bytes

    filled = Filled(submission.record, submission.tables, (*report.errors, *report.questions))
    target = path.with_name(f"{path.stem}.checked.xlsx")
    write_bytes(target, workbook_bytes(submission.key or path.stem, filled, read_vocabulary(root)))
    return target

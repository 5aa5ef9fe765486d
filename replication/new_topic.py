"""`python -m replication.new_topic DIR`: a folder for a topic of one's own, with an invented example that runs.

The folder is a project: `data/references` with a vocabulary and one work, `analyses/` with protocol, thresholds of
certainty, report settings, words and one finding. Every command works on it with `--data DIR`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from replication import paths
from replication.command_line import run_command, typer_command
from replication.errors import UserError

__all__ = ["main", "make_topic"]

TEMPLATE = Path(__file__).parent / "study" / "topic_template"
LANGUAGES = ("en", "nb")
TITLE = "Sleep and well-being: do the published numbers hold?"

_app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


def make_topic(folder: str | Path, title: str = TITLE, languages: tuple[str, ...] = LANGUAGES) -> Path:
    """Write the project of a new topic into `folder`, which must be new or empty, and return its path.

    Raises
    ------
    UserError
        when something is in the folder already, the title is empty or a language is not known; nothing is written then.
    """
    folder = Path(folder)
    unknown = [language for language in languages if language not in LANGUAGES]
    if unknown or languages[:1] != ("en",):
        raise UserError(f"languages are {', '.join(languages)}; begin with en, known are {', '.join(LANGUAGES)}")
    if not title.strip() or not title.isprintable():
        raise UserError("the title is empty or holds a line break; give one line of text")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not empty; name a new folder")
    # All of it beside the target first: an interrupted copy leaves no folder that looks like a project.
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(TEMPLATE, unfinished, ignore=shutil.ignore_patterns("__pycache__"))
    for language in set(LANGUAGES) - set(languages):
        (unfinished / "analyses" / "locale" / f"{language}.toml").unlink()
    quoted = json.dumps(title, ensure_ascii=False)[1:-1]  # as a TOML string between its quotes
    for path in (unfinished / "analyses").rglob("*.toml"):
        text = path.read_text(encoding="utf-8")
        filled = text.replace("@TITLE@", quoted).replace("@LANGUAGES@", json.dumps(list(languages)))
        path.write_text(filled, encoding="utf-8", newline="\n")
    if folder.exists():
        folder.rmdir()
    unfinished.rename(folder)
    return folder


@_app.command()
def new_topic(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    title: Annotated[str, typer.Option(help="Title of the report.")] = TITLE,
    language: Annotated[
        list[str] | None, typer.Option(help="Languages of the report, en first; again for another one.")
    ] = None,
) -> None:
    """Make a folder for a topic of your own, with an invented example that runs.

    Exit codes: 0 done, 1 something to mend (said in one line).
    """
    made = make_topic(folder, title, tuple(language or LANGUAGES))
    shown = made if made.is_absolute() else Path(*made.parts)
    sys.stdout.write(
        f"Wrote {shown}. README.md there says what to change. Run the example:\n"
        f"    python -m replication.run --data {shown} --no-sampling\n"
        f"The report comes to {paths.reports_dir(shown) / 'latest' / 'index.html'}\n"
    )


def main() -> None:
    """Run the command."""
    run_command(typer_command(_app), stopped="stopped; no folder was made")


if __name__ == "__main__":
    main()

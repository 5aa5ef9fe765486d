"""Notes as pages: a small, safe part of Markdown. Everything is escaped first, then marked up."""

from __future__ import annotations

import re
from collections.abc import Callable

from markupsafe import Markup, escape

__all__ = ["plain_prose", "prose"]

_INLINE = re.compile(
    r"(?P<address>https?://[^\s<>()]+[^\s<>().,;:])|`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*\s][^*]*)\*"
    r"|(?<![\w/.-])(?P<id>[a-z][a-z0-9]{2,39}(?:-[a-z]?\d{2,4})?)(?![\w/-])"
)


def prose(text: str, to: Callable[[str], str], level: int = 3) -> Markup:
    """Headings, lists, paragraphs, emphasis, code and addresses; ids that `to` knows become links.

    Parameters
    ----------
    text : the note.
    to : the address of an id, or nothing.
    level : the heading level a first-order heading becomes.
    """
    blocks: list[str] = []
    items: list[str] = []
    lines: list[str] = []

    def flush() -> None:
        if items:
            blocks.append("<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>")
            items.clear()
        if lines:
            blocks.append(f"<p>{_inline(' '.join(lines), to)}</p>")
            lines.clear()

    for line in [*text.splitlines(), ""]:
        stripped = line.strip()
        heading = re.fullmatch(r"(#{1,4})\s+(.*)", stripped)
        bullet = re.fullmatch(r"[-*]\s+(.*)", stripped)
        if heading:
            flush()
            depth = min(6, level + len(heading[1]) - 1)
            blocks.append(f"<h{depth}>{_inline(heading[2], to)}</h{depth}>")
        elif bullet:
            if lines:
                flush()
            items.append(_inline(bullet[1], to))
        elif not stripped:
            flush()
        else:
            if items:
                flush()
            lines.append(stripped)
    return Markup("".join(blocks))


def plain_prose(text: str, to: Callable[[str], str]) -> Markup:
    """One line of running text with ids linked."""
    return Markup(_inline(text, to))


def _inline(text: str, to: Callable[[str], str]) -> str:
    parts, start = [], 0
    for match in _INLINE.finditer(text):
        parts.append(str(escape(text[start : match.start()])))
        parts.append(_marked(match, to))
        start = match.end()
    parts.append(str(escape(text[start:])))
    return "".join(parts)


def _marked(match: re.Match[str], to: Callable[[str], str]) -> str:
    kind = str(match.lastgroup)
    shown = escape(match[kind])
    if kind == "address":
        return f'<a class="out" rel="noreferrer" href="{shown}">{shown}</a>'
    if kind == "id":
        target = to(match["id"])
        return f'<a href="{escape(target)}">{shown}</a>' if target else str(shown)
    tag = {"code": "code", "strong": "strong", "em": "em"}[kind]
    return f"<{tag}>{shown}</{tag}>"

"""The environment every template is filled in, with templates kept as Jinja has compiled them.

Two things make it ours. Compiling takes as long as a tenth of all pages, so it is done once for each text of a
template. And pages call hundreds of thousands of small functions, before each of which Jinja does what takes longer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, Template, nodes
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator, Frame
from markupsafe import Markup, escape

from replication import paths
from replication.digests import digest_of
from replication.writing import write_atomic

__all__ = ["environment", "escaped", "template_digests"]

_TEMPLATES = Path(__file__).parent / "templates"


class _Compiled(BytecodeCache):
    """Templates as Jinja has compiled them, kept in the cache."""

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, ValueError):
            known, _, code = self._path(bucket).read_bytes().partition(b"\n")
            if known.decode() == digest_of(code):  # a damaged one counts as none
                bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        path, code = self._path(bucket), bucket.bytecode_to_string()
        with suppress(OSError):  # a cache nobody may write to: compiled each time
            write_atomic(path, digest_of(code).encode() + b"\n" + code)

    def _path(self, bucket: Bucket) -> Path:
        """Where it is kept: by the template's text, and by what decides how it is compiled."""
        key = digest_of(bucket.key, bucket.checksum, jinja2.__version__, Path(__file__).read_bytes())
        return paths.cache_dir() / "templates" / f"{key[:32]}.bin"


class _Calls(CodeGenerator):
    """Templates that call functions, methods and macros as Python does.

    Jinja looks at each of them for a wish to be handed the context, which takes longer than most of them do. Of ours
    none has one: macros are told whether text is escaped where they are compiled. And what is called by a name behind a
    dot is a method, also of a table that has an item of that name.
    """

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: N802 - as Jinja names it
        if forward_caller or node.dyn_args or node.dyn_kwargs:
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        if isinstance(node.node, nodes.Getattr):
            self.visit(node.node.node, frame)
            self.write(f".{node.node.attr}(")
        else:
            self.visit(node.node, frame)
            self.write("(")
        for argument in (*node.args, *node.kwargs):
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")


class _Filled(Template):
    """A template that escapes text only where there is something in it to escape."""

    @classmethod
    def from_code(cls, *args: Any, **more: Any) -> Template:
        template = super().from_code(*args, **more)
        # The name that compiled templates show every value by: three hundred thousand of them, nearly all plain words.
        template.root_render_func.__globals__["escape"] = escaped
        return template


_SPECIAL = re.compile(r"""[&<>"']""").search


def escaped(value: object) -> str:
    """A value as markup, as `markupsafe.escape` gives it, without a mark on what is joined and marked next."""
    # Texts and markup alone: what else is a string may want to be shown in a way of its own.
    if type(value) is Markup or (type(value) is str and not _SPECIAL(value)):
        return value
    return escape(value)


class _Environment(Environment):
    code_generator_class = _Calls
    template_class = _Filled

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An attribute, or an item where there is no such attribute: of a table the item at once."""
        if type(obj) is dict and attribute in obj and attribute not in _OF_TABLES:
            return obj[attribute]
        try:
            return getattr(obj, attribute)
        except AttributeError:
            return super().getattr(obj, attribute)


_OF_TABLES = frozenset(dir(dict))


_USES = re.compile(r"""\{%-?\s*(?:extends|import|include|from)\s+["']([^"']+)["']""")


def template_digests() -> Mapping[str, str]:
    """A digest for every template by its name: of its text, and of all it extends or takes macros from."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in _TEMPLATES.iterdir() if path.is_file()}
    used = {name: _USES.findall(text) for name, text in texts.items()}

    def needed(name: str) -> list[str]:
        return [name, *(further for other in used.get(name, ()) for further in needed(other))]

    return {name: digest_of(*(texts.get(each, "") for each in needed(name))) for name in texts}


def environment(*, escaped: bool) -> Environment:
    """The environment of the templates of pages and files; `escaped` ones show every text as text, not as markup."""
    return _Environment(
        loader=FileSystemLoader(_TEMPLATES),
        bytecode_cache=_Compiled(),
        autoescape=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

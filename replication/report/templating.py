"""The environment every template is filled in, with templates kept as Jinja has compiled them.

Two things make it ours. Compiling takes as long as a tenth of all pages, so it is done once for each text of a
template. And pages call two hundred thousand small functions, each of which Jinja asks how it wants to be called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import jinja2
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.bccache import Bucket
from jinja2.runtime import Context, Macro
from markupsafe import Markup, escape

from replication import paths
from replication.digests import digest_of
from replication.writing import write_atomic

__all__ = ["environment", "template_digests"]

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


class _Calls(Context):
    """The names of a template, whose functions, methods and macros are called as they are.

    Jinja looks at each of them for a wish to be handed the context. Of ours only macros want anything, to know whether
    text is escaped, and looking takes longer than most of them do; what else can be called goes Jinja's way.
    """

    def call(__self, __obj: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as Jinja names them
        kind: type = type(__obj)
        if kind is not MethodType and kind is not FunctionType and kind is not Macro:
            return super().call(__obj, *args, **kwargs)
        if kwargs:  # what Jinja adds for those who want the context
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
        return __obj(__self.eval_ctx, *args, **kwargs) if kind is Macro else __obj(*args, **kwargs)


class _Filled(Template):
    """A template that escapes text only where there is something in it to escape."""

    @classmethod
    def from_code(cls, *args: Any, **more: Any) -> Template:
        template = super().from_code(*args, **more)
        # The name that compiled templates show every value by: three hundred thousand of them, nearly all plain words.
        template.root_render_func.__globals__["escape"] = _shown
        return template


_SPECIAL = re.compile(r"""[&<>"']""").search


def _shown(value: object) -> str:
    """A value as markup, as `markupsafe.escape` gives it, without a mark on what is joined and marked next."""
    if isinstance(value, Markup) or (isinstance(value, str) and not _SPECIAL(value)):
        return value
    return escape(value)


class _Environment(Environment):
    context_class = _Calls
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

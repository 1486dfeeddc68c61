"""Read docstrings from Python sources with ``ast``, without importing anything."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from .documents import CorpusDocument, clean, summary_of

_SIGNATURE_LIMIT = 300
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Named = _Function | ast.ClassDef


def module_name(path: Path) -> str:
    """Return the dotted name of a source file given relative to an import root."""
    parts = path.with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts)


def read_module(root: Path, path: Path) -> list[CorpusDocument]:
    """Return the documents of the file ``root / path``.

    The dotted names and sources are derived from ``path``, which is relative to ``root``. A
    missing, undecodable or broken file has no documents and is not an error.
    """
    try:
        content = (root / path).read_bytes()
    except OSError:
        return []
    return documents_in_source(content, module_name(path), path.as_posix())


def documents_in_source(content: bytes, module: str, source: str) -> list[CorpusDocument]:
    """Return a document for each public module, class, function and method with a docstring.

    The encoding of ``content`` is detected as in PEP 263. Names with a leading underscore, and
    definitions inside functions, are not public.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as for invalid escapes in other people's files
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(_walk(tree, module, source))


def _walk(tree: ast.Module, module: str, source: str) -> Iterator[CorpusDocument]:
    text = ast.get_docstring(tree)
    if text:
        yield _document(module, "module", text, f"{source}:1")
    yield from _members(tree.body, module, "function", source)


def _members(body: list[ast.stmt], scope: str, kind: str, source: str) -> Iterator[CorpusDocument]:
    for node in _definitions(body):
        if node.name.startswith("_"):
            continue
        name = f"{scope}.{node.name}"
        text = ast.get_docstring(node)
        where = f"{source}:{node.lineno}"
        if isinstance(node, ast.ClassDef):
            if text:
                yield _document(name, "class", text, where)
            yield from _members(node.body, name, "method", source)
        elif text:
            yield _document(name, kind, text, where, _signature(node))


def _definitions(body: list[ast.stmt]) -> Iterator[_Named]:
    """Yield the definitions in a body, also those in ``if`` and ``try`` blocks."""
    for node in body:
        if isinstance(node, _Named):
            yield node
        elif isinstance(node, ast.If):
            yield from _definitions(node.body)
            yield from _definitions(node.orelse)
        elif isinstance(node, ast.Try):
            yield from _definitions(node.body)
            for handler in node.handlers:
                yield from _definitions(handler.body)
            yield from _definitions(node.orelse)


def _signature(node: _Function) -> str:
    arguments = ast.unparse(node.args)
    returned = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    signature = clean(f"({arguments}){returned}")
    if len(signature) > _SIGNATURE_LIMIT:
        return signature[: _SIGNATURE_LIMIT - 1] + "…"
    return signature


def _document(name: str, kind: str, text: str, source: str, signature: str = "") -> CorpusDocument:
    text = clean(text).strip()
    return CorpusDocument(name, name, kind, summary_of(text), text, source, signature)

"""Documentation read out of Python sources with ``ast``; nothing is ever imported."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from .documents import Document, clean, summary_of

__all__ = ["documents_in_source", "module_name", "read_module"]

_SIGNATURE_LIMIT = 300
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Named = _Function | ast.ClassDef


def module_name(path: Path) -> str:
    """Return the dotted name of a source file given relative to an import root."""
    parts = path.with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts)


def read_module(root: Path, path: Path) -> list[Document]:
    """Return the documents of the file ``root / path``, or none where it is not readable Python.

    ``path`` is relative to ``root``; it gives the dotted names and the sources. A file
    that is gone, undecodable or broken is no error: other people's folders hold such files.
    """
    try:
        content = (root / path).read_bytes()
    except OSError:
        return []
    return documents_in_source(content, module_name(path), path.as_posix())


def documents_in_source(content: bytes, module: str, source: str) -> list[Document]:
    """Return a document for each public module, class, function and method with a docstring.

    The coding of ``content`` is found as PEP 263 says. Names that begin with an underscore,
    and what is defined inside functions, are not public.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stale escape in somebody's file is not our news
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(_walk(tree, module, source))


def _walk(tree: ast.Module, module: str, source: str) -> Iterator[Document]:
    text = ast.get_docstring(tree)
    if text:
        yield _document(module, "module", text, f"{source}:1")
    yield from _members(tree.body, module, "function", source)


def _members(body: list[ast.stmt], scope: str, kind: str, source: str) -> Iterator[Document]:
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
    """Yield the definitions of a body, also those that stand under a condition."""
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


def _document(name: str, kind: str, text: str, source: str, signature: str = "") -> Document:
    text = clean(text).strip()
    return Document(name, name, kind, summary_of(text), text, source, signature)

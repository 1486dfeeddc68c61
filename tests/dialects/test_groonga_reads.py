"""What Groonga itself reads in an edited request; its program takes requests on standard input."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from middleware import QuerySpan
from middleware.dialects.base import apply_edits
from middleware.dialects.groonga import GroongaDialect

from .requests import request

GROONGA = shutil.which("groonga")
pytestmark = pytest.mark.skipif(GROONGA is None, reason="the program groonga is not installed")

SCHEMA = (
    "/d/table_create?name=T&flags=TABLE_HASH_KEY&key_type=ShortText",
    "/d/column_create?table=T&name=t&type=Text",
    "/d/table_create?name=I&flags=TABLE_PAT_KEY&key_type=ShortText"
    "&default_tokenizer=TokenBigram&normalizer=NormalizerAuto",
    "/d/column_create?table=I&name=i&flags=COLUMN_INDEX|WITH_POSITION&type=T&source=t",
)
DOCUMENTS = [
    {"_key": "shoes", "t": "red running shoes"},
    {"_key": "boots", "t": "boots made of leather"},
    {"_key": "marks", "t": "red:hat (new) c++ -x men's ^up ~not <a>"},
]
FOUND = request("GET", "/d/select", b"table=T&match_columns=t&query=red%20shoes")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database of three documents."""
    path = tmp_path_factory.mktemp("groonga") / "db"
    load = f"load --table T\n{json.dumps(DOCUMENTS)}"
    answers = ask(path, *SCHEMA, load, new=True)
    assert len(answers) == 5
    return path


def ask(database: Path, *commands: str, new: bool = False) -> list[Any]:
    """Return Groonga's answers to commands."""
    assert GROONGA is not None
    arguments = [GROONGA, *(["-n"] if new else []), str(database)]
    done = subprocess.run(
        arguments, input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=60
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


def keys(database: Path, span: QuerySpan, text: str) -> set[str]:
    """Return the keys of the documents that an edited request finds."""
    query_string, _ = apply_edits(FOUND, [(span, text)])
    [answer] = ask(database, f"/d/select?{query_string.decode()}&output_columns=_key")
    status, result = answer
    assert status[0] == 0, status
    return {row[0] for row in result[0][2:]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("red shoes", {"shoes"}),
        ("red", {"shoes", "marks"}),
        ("red:hat", {"marks"}),
        ("(new)", {"marks"}),
        ("-x", {"marks"}),
        ("men's", {"marks"}),
        ("^up", {"marks"}),
        ("~not", {"marks"}),
        ("<a>", {"marks"}),
        ("c++", {"marks"}),
        ("shoes OR boots", set()),
        ("red -shoes", set()),
        ("sho*", set()),
        ("t:@red", set()),
        ('"red', set()),
        ("red (", {"marks"}),
    ],
)
def test_a_rewrite_is_read_as_words(database: Path, text: str, found: set[str]) -> None:
    """No operator in it does anything, and none is an error."""
    [span] = GroongaDialect().spans(FOUND)
    assert keys(database, span, text) == found


@pytest.mark.parametrize(
    ("added", "found"),
    [
        (("leather",), {"shoes", "boots"}),
        (("boots", "leather"), {"shoes", "boots"}),
        (("(",), {"shoes"}),
        (('"x', "OR"), {"shoes"}),
    ],
)
def test_added_terms_widen_a_search(
    database: Path, added: tuple[str, ...], found: set[str]
) -> None:
    """What the text alone finds is found still."""
    [span] = GroongaDialect().spans(FOUND)
    assert keys(database, span.expanding(added), "") == found

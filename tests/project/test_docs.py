"""The documentation against the code, both ways."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from middleware.cli import _parser
from middleware.core.outcome import Mode, Outcome, Reason, Source
from middleware.core.reformulation import Reformulation, Timings
from middleware.errors import ConfigurationError, UpstreamError
from middleware.http.control import DEFAULT_CONTROL, parse_control
from middleware.instrumentation.headers import CONTROL_HEADER, RESULT_HEADER, result_headers
from middleware.instrumentation.metrics import METRICS
from middleware.serving.settings import SETTINGS
from middleware.serving.sources import load_settings
from tests.project.markdown import ALL, DOCS, PAGES, ROOT, Block, blocks, table, without_code

_PROSE = {page: without_code(page) for page in ALL}
_COMMANDS = [block for page in ALL for block in blocks(page, "sh", "console")]
_TOML = [block for page in ALL for block in blocks(page, "toml") if "[project" not in block.code]


def _reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "site" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_GENERATED: ModuleType = _reference()


def _page(name: str) -> str:
    """Return a page as the site shows it: with its generated parts."""
    return str(_GENERATED.on_page_markdown((DOCS / name).read_text("utf-8")))


def test_every_mark_is_filled_in_once() -> None:
    """Each generator has one mark, and each mark a generator."""
    marks = [mark for page in PAGES for mark in _GENERATED.MARK.findall(page.read_text("utf-8"))]
    assert sorted(marks) == sorted(_GENERATED.GENERATORS)


def test_the_navigation_names_every_page() -> None:
    """MkDocs warns of a page that is missing; this finds it without MkDocs."""
    text = (DOCS / "site" / "mkdocs.yml").read_text("utf-8")
    named = set(re.findall(r"- (?:\w+: )?(\S+\.md)$", text, re.MULTILINE))
    assert named == {str(page.relative_to(DOCS)) for page in PAGES}


# --- Settings ---


def test_settings() -> None:
    """The page has every setting, with all its names and its sentence."""
    page = _page("reference/settings.md")
    for setting in SETTINGS:
        row = f"| `{setting.key}` | `{setting.option}`<br>`{setting.variable}` |"
        assert row in page
        assert setting.description.replace("|", "\\|") in page


def test_names_of_settings_in_the_text_exist() -> None:
    """Each ``table.key`` and each variable that a page names is a setting's."""
    names = {setting.name for setting in SETTINGS}
    variables = {setting.variable for setting in SETTINGS}
    tables = {setting.table for setting in SETTINGS if setting.table}
    dotted = re.compile(rf"`((?:{'|'.join(tables)})\.[a-z_]+)(?: = [^`]*)?`")
    for page, text in _PROSE.items():
        if page.parent.name == "adr":  # a decision keeps the names of its time
            continue
        assert set(dotted.findall(text)) <= names, page
        assert set(re.findall(r"\bQUERYLIFT_[A-Z_]+\b", text)) <= variables, page


@pytest.mark.parametrize("block", _TOML, ids=str)
def test_settings_files_are_right(block: Block, tmp_path: Path) -> None:
    """Each settings file that a page shows can be read."""
    file = tmp_path / "querylift.toml"
    file.write_text(block.code, "utf-8")
    load_settings(file, environment={})


def test_renamed_settings() -> None:
    """The changelog gives the new names, and an old one is refused with its new one."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    by_name = {setting.name: setting for setting in SETTINGS}
    for old, new, option, variable in table(changelog, "### Settings"):
        setting = by_name[new.strip("`")]
        assert option.split("`")[1] == setting.option
        assert variable.split("`")[1] == setting.variable
        if not variable.endswith("as before"):
            name = f"QUERYLIFT_{old.strip('`').upper()}"
            with pytest.raises(ConfigurationError, match=rf"\b{setting.variable}\b"):
                load_settings(environment={name: "1"})


# --- The command line ---


def _commands(block: Block) -> list[list[str]]:
    """Return the arguments of every call of ``querylift`` in a block of shell."""
    code = block.code.replace("\\\n", " ")
    calls = []
    for line in code.splitlines():
        if block.language == "console" and not line.startswith("$ "):
            continue
        for command in re.split(r"&&|\|(?!=)|;", line.removeprefix("$ ")):
            if "querylift" in command.split()[:1]:
                words = shlex.split(command, comments=True)
                calls.append(words[1 : words.index("<")] if "<" in words else words[1:])
    return calls


@pytest.mark.parametrize("block", [b for b in _COMMANDS if _commands(b)], ids=str)
def test_commands_are_understood(block: Block) -> None:
    """Each call of ``querylift`` that a page shows has options that exist."""
    for arguments in _commands(block):
        _parser().parse_args(arguments)


def test_command_line() -> None:
    """The page has a section for every command."""
    page = _page("reference/cli.md")
    for command in ("demo", "serve", "warm", "rewrite", "eval", "bench", "bench load"):
        assert re.search(rf"^#+ querylift {command}$", page, re.MULTILINE)


# --- Outcomes, headers, metrics, errors ---


def test_words_of_decisions() -> None:
    """The page has every outcome, reason, source and mode, and no other."""
    page = _page("reference/outcomes.md")
    for heading, words in (
        ("## Outcomes", Outcome),
        ("## Reasons", Reason),
        ("## Sources", Source),
        ("## Modes", Mode),
    ):
        assert [row[0].strip("`") for row in table(page, heading)] == [str(word) for word in words]


def test_results_that_pages_show_can_occur() -> None:
    """Each example of the response header has words that exist."""
    shown = re.compile(rf"\b({'|'.join(Outcome)});(src|reason)=(\w+)")
    found = [each for page in ALL for each in shown.findall(page.read_text("utf-8"))]
    assert len(found) > 10
    outcomes = {reason.value: reason.outcome for reason in Reason}
    for outcome, parameter, word in found:
        assert parameter == "src" or outcomes[word] == outcome
        assert parameter == "reason" or word in set(Source)


def test_headers() -> None:
    """The page names each header, and each parameter of the response's."""
    page = _page("reference/headers.md")
    places = "q in the URL"
    result = Reformulation(
        "a", "b", Outcome.FALLBACK, Reason.TIMEOUT, Source.ENGINE, Timings(), looked_in=places
    )
    sent = result_headers(result, expose_query=True, timing=True)
    for name in (*(name.decode() for name, _ in sent), CONTROL_HEADER):
        assert re.search(rf"^## .*: {name}$", page, re.MULTILINE | re.IGNORECASE)
    value = dict(sent)[RESULT_HEADER.encode()].decode()
    told = [each.partition("=")[0] for each in value.split(";")[1:]]
    listed = table(page, "## On responses: Query-Reformulation")
    assert sorted(row[0].strip("`") for row in listed) == sorted(told)


def test_control_words_have_an_effect() -> None:
    """Each word that the page lists changes how a request is handled."""
    rows = table(_page("reference/headers.md"), "## On requests: Query-Reformulation-Control")
    for word, _ in rows:
        said = word.strip("`").replace("<mode>", "expand").replace("<ms>", "20")
        assert parse_control(said, max_budget=10) != DEFAULT_CONTROL


def test_metrics() -> None:
    """The page lists each metric, and no page names another."""
    page = _page("reference/metrics.md")
    assert all(f"| `{name}` | {text} |" in page for name, text in METRICS.items())
    for other, text in _PROSE.items():
        assert set(re.findall(r"\bquerylift_\w+", text)) <= set(METRICS), other


def test_errors() -> None:
    """The page has the status and the kind of every failure of the upstream."""
    rows = table(_page("reference/errors.md"), "# Errors of the proxy's own")
    listed = {(row[0], row[1].strip("`")) for row in rows}
    kinds: list[type[UpstreamError]] = [UpstreamError, *UpstreamError.__subclasses__()]
    assert {(str(kind.status), kind.kind) for kind in kinds} <= listed


def test_dialects() -> None:
    """Each table of the page has every dialect."""
    page = _page("reference/dialects.md")
    for heading in ("# Dialects", "## Texts that are rewritten", "## Added terms"):
        names = {name for row in table(page, heading) for name in re.findall(r"`(\w+)`", row[0])}
        assert names - {"q"} == set(_GENERATED.bundled_dialects())


def test_python_api() -> None:
    """Every public name has its place on the page."""
    page = _page("reference/api.md")
    for name in _GENERATED.public_names():
        assert f"::: middleware.{name}\n" in page


def test_decisions_are_listed() -> None:
    """The index of decisions names every page of them."""
    index = (DOCS / "adr" / "index.md").read_text("utf-8")
    files = {page.name for page in PAGES if re.match(r"\d{4}-", page.name)}
    assert set(re.findall(r"\((\d{4}-\S+\.md)\)", index)) == files

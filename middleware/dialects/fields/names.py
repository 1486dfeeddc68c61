"""Whether a field's name says that it holds exact values; used where nothing better is known."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_NAME = 256
"""The most characters of a field's name that is looked at; a longer one holds exact values."""

# Words that end the name of a field with identifiers, addresses, or values of a closed list, and
# those of a copy of a field that is not analyzed.
_EXACT_WORDS = frozenset(
    "id ids uid gid pid oid uuid guid key keys token hash checksum digest fingerprint md5 "
    "sha1 sha256 sku skus ean gtin upc isbn issn asin mpn doi code codes barcode iban bic vin "
    "number no nr ip mac port email mail phone tel mobile fax zip zipcode postcode plz url "
    "urls uri href link slug path host hostname domain user username login locale lang "
    "language currency version status type level date time timestamp keyword raw exact "
    "untouched unanalyzed verbatim sort facet kw".split()
)
# The field sets of the Elastic Common Schema 8; their fields are keywords, but for some prose.
_ECS_SETS = frozenset(
    "agent as client cloud code_signature container data_stream destination device dll dns ecs elf "
    "email error event faas file gen_ai geo group hash host http interface log macho network "
    "observer orchestrator organization os package pe process registry related risk rule server "
    "service source span threat tls trace transaction url user user_agent vlan volume "
    "vulnerability x509".split()
)
_ECS_PROSE = frozenset(
    "message text description summary title subject body content comment comments note notes "
    "reason abstract bio question answer stack_trace".split()
)
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=4096)
def looks_exact(name: str) -> bool:
    """Return whether a field's name is one of those whose whole values are matched.

    Such are names that begin with an underscore, that end in a word for an identifier or for a
    copy that is not analyzed (``user_id``, ``orderNumber``, ``title.keyword``), and names of the
    Elastic Common Schema (``process.name``).
    """
    if len(name) > MAX_NAME or name.startswith("_"):
        return True
    first, *others = segments = name.split(".")
    words = _WORDS.findall(segments[-1])
    if words and words[-1].lower() in _EXACT_WORDS:
        return True
    return bool(others) and first in _ECS_SETS and others[-1] not in _ECS_PROSE

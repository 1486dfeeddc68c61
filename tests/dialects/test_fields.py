"""Which fields hold prose by their names, and the bounds of what is kept of schemas."""

from __future__ import annotations

import pytest

from middleware import ConfigurationError
from middleware.dialects.fields.fields import Fields
from middleware.dialects.fields.names import looks_exact
from middleware.dialects.fields.schemas import Place, Schema, Schemas, condensed

EXACT = [
    "user.id", "process.name", "email.exact", "title.keyword", "code.raw", "_id", "_index",
    "userId", "user_id", "orderNumber", "part-no", "sku", "product.sku", "customer.email", "ip",
    "sourceIp", "host.hostname", "http.request.method", "cloud.region", "kubernetes.pod.uid",
    "zipCode", "billing.postcode", "session.token", "file.path", "productURL", "name_sort",
    "x" * 300,
]  # fmt: skip
PROSE = [
    "title", "name", "product.name", "description", "body.en", "message", "error.message", "notes",
    "rule.description", "event.summary", "category", "brand", "content", "identity", "coder", "a",
    "vulnerability.description", "title.stemmed", "person.fullName", "keywords_text", "überschrift",
]  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_names_of_exact_values(name: str) -> None:
    assert looks_exact(name)
    assert not Fields().of()(name)


@pytest.mark.parametrize("name", PROSE)
def test_names_of_prose(name: str) -> None:
    assert not looks_exact(name)
    assert Fields().of()(name)


def test_an_empty_glob_is_refused() -> None:
    for prose, exact in (([""], []), ([], ["a", ""])):
        with pytest.raises(ConfigurationError, match="must not be empty"):
            Fields(prose, exact)


def test_a_text_in_place_of_a_list_is_refused() -> None:
    """Its letters would be the globs."""
    with pytest.raises(ConfigurationError, match="prose must be a list of texts, not 'title'"):
        Fields("title")


def test_only_what_a_name_does_not_say_is_kept() -> None:
    told = {"title": True, "sku": False, "part.sku": True, "name": False, "a" * 300: True}
    assert condensed(told.items()) == {"part.sku": True, "name": False}


def test_places_and_names_are_bounded() -> None:
    """The least used leave first, and before them those of which nothing was told."""
    schemas = Schemas(now=lambda: 0.0)
    mine = Place("elasticsearch", "/mine")
    schemas.store(mine, Schema({"name": False}))
    for number in range(1000):
        schemas.store(Place("elasticsearch", f"/{number}"), None)
    assert schemas.known(mine) == Schema({"name": False})
    assert len(schemas._told) == 128
    for number in range(1000):
        schemas.store(
            Place("elasticsearch", f"/{number}"), Schema({str(n): False for n in range(999)})
        )
        assert schemas._names <= 20_000
    schemas.store(mine, Schema({str(n): False for n in range(20_001)}))
    assert schemas.known(mine) is None


def test_few_places_are_wanted_at_a_time() -> None:
    schemas = Schemas(now=lambda: 0.0)
    woken: list[int] = []
    schemas.wake = lambda: woken.append(1)
    for number in range(1000):
        assert schemas.known(Place("solr", str(number % 500))) is None
    assert len(woken) == 32
    place = schemas.next_wanted()
    assert place == Place("solr", "0")
    assert schemas.next_wanted() == place, "it stays wanted until it is stored"
    schemas.store(place, None)
    assert schemas.next_wanted() == Place("solr", "1")

"""submission.json: what the author says, in the many ways that it is said."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.evidence.claims import ALIASES, MAX_VALUES, Claims, read_claims
from pgaudit.submission import File

Read = Callable[[object], Claims]


def claims_of(document: object) -> Claims:
    data = (
        document
        if isinstance(document, bytes)
        else (document if isinstance(document, str) else json.dumps(document)).encode()
    )
    return read_claims(File("submission.json", len(data), lambda: data))


def value(claims: Claims, name: str, seed: str | None = None) -> object:
    claim = claims.get(name, seed)
    return claim.value if claim else None


@pytest.mark.parametrize("name,key", [(name, key) for name, keys in ALIASES.items() for key in keys])
def test_every_alias_states_its_claim(name: str, key: str) -> None:
    claim = claims_of({key: 1.5}).get(name)
    assert claim is not None
    assert (claim.value, claim.key, claim.seed) == (1.5, key, None)


def test_the_usual_key_wins_over_its_aliases_and_the_shallow_one_over_the_deep() -> None:
    claims = claims_of({"mean_val_bpb": 1.1, "metrics": {"val_bpb": 1.2}, "val_bpb": 1.3})
    assert value(claims, "val_bpb") == 1.3
    assert [claim.value for claim in claims.stated] == [1.1, 1.2, 1.3]


def test_numbers_of_a_baseline_or_an_ablation_are_not_claims() -> None:
    claims = claims_of({"baseline": {"val_bpb": 1.2}, "ablations": [{"val_bpb": 1.3}], "val_bpb_std": 0.001})
    assert claims.stated == ()


@pytest.mark.parametrize(
    "table",
    [
        {"seed_results": {"42": {"val_bpb": 1.1}, "1337": {"val_bpb": 1.2}}},
        {"seeds": {"42": {"val_bpb": 1.1}, "1337": {"val_bpb": 1.2}}},
        {"seed_42": {"val_bpb": 1.1}, "seed_1337": {"val_bpb": 1.2}},
        {"results": {"seed42": {"val_bpb": 1.1}, "seed1337": {"val_bpb": 1.2}}},
        {"seed_results": [{"seed": 42, "val_bpb": 1.1}, {"seed": "1337", "val_bpb": 1.2}]},
        {"seed_results": {"42": 1.1, "1337": 1.2}},
        {"val_bpb_seeds": {"42": 1.1, "1337": 1.2}},
        {"per_seed_val_bpb": {"42": 1.1, "1337": 1.2}},
    ],
)
def test_tables_of_seeds(table: object) -> None:
    claims = claims_of(table)
    assert {seed: claim.value for seed, claim in claims.per_seed("val_bpb").items()} == {"42": 1.1, "1337": 1.2}
    assert claims.get("val_bpb") is None


def test_lists_of_seeds_and_of_their_scores() -> None:
    claims = claims_of({"seeds": [42, 1337], "val_bpb_seeds": [1.1, 1.2]})
    assert claims.seeds == ("42", "1337", "#1", "#2")
    assert value(claims, "val_bpb", "#2") == 1.2


def test_every_claim_has_its_line() -> None:
    claims = claims_of(
        '{\n "note": "\\"val_bpb\\": 9",\n "größe": 1,\n "val_bpb":\n  1.25,\n "seeds": {\n  "42": {"val_bpb": 1.5}}}'
    )
    headline, per_seed = claims.get("val_bpb"), claims.get("val_bpb", "42")
    assert headline
    assert headline.location.line == 4
    assert headline.location.text == '"val_bpb":'
    assert per_seed
    assert per_seed.location.line == 7
    assert claims.at("note").line == 2
    assert claims.at("no such key").line is None


def test_duplicate_keys_are_reported_and_the_last_one_counts() -> None:
    claims = claims_of('{"val_bpb": 1.1, "val_bpb": 1.2}')
    assert claims.duplicates == ("val_bpb",)
    assert value(claims, "val_bpb") == 1.2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(encoding: str) -> None:
    assert value(claims_of('{"name": "größer"}'.encode(encoding)), "name") == "größer"


@pytest.mark.parametrize(
    "text,message,line",
    [
        ('{\n"val_bpb": 1.1,\n}', "", 3),
        ('{"val_bpb": 1.1', "", 1),
        ("", "Expecting value", 1),
        ("[1, 2]", "a list", 1),
        ("null", "null", 1),
        ('"score"', "a string", 1),
        ("1.5", "a number", 1),
        ("[" * 100_000, "nested too deeply", None),
        ('{"n": ' + "9" * 5000 + "}", "too many digits", None),
    ],
)
def test_what_is_no_object_is_a_stated_problem(text: str, message: str, line: int | None) -> None:
    problem = claims_of(text).problem
    assert problem is not None
    assert message in problem.message
    assert problem.location.line == line


def test_numbers_that_json_does_not_have_are_read() -> None:
    assert value(claims_of('{"val_bpb": NaN, "val_loss": Infinity}'), "val_loss") == float("inf")


def test_a_huge_file_is_read_in_part() -> None:
    claims = claims_of({"list": list(range(MAX_VALUES)), "val_bpb": 1.1})
    assert claims.problem is None
    assert claims.get("val_bpb") is None


def test_deep_nesting_is_read_down_to_a_bound() -> None:
    document: object = {"val_bpb": 1.0}
    for _ in range(200):
        document = {"metrics": document}
    assert claims_of(document).stated == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text() | st.sampled_from(["seeds", "seed", "42", "[0]", "[x]", "val_bpb"]), inner, max_size=4
        )
    ),
)


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_any_document_is_read_and_every_place_is_in_the_file(
    document: object, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    text = text.encode("utf-8", "replace").decode()
    claims = claims_of(text)
    assert (claims.problem is None) == isinstance(document, dict)
    lines = text.count("\n") + 1
    assert all(1 <= (claim.location.line or 0) <= lines for claim in claims.stated)


@given(st.binary())
def test_any_bytes_are_claims_or_a_problem(data: bytes) -> None:
    claims = claims_of(data)
    assert (claims.problem is None) == isinstance(claims.document, dict)

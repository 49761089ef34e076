"""The parts of pictures: scales that hold their values, round ticks, and elements that escape."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st

from pgaudit.output.page.chart import Picture, Scale, element, group, label, padded

NUMBERS = st.floats(-1e9, 1e9)


@given(st.lists(NUMBERS, max_size=20), st.integers(2, 12))
def test_a_scale_holds_its_values_and_round_ticks(values: list[float], most: int) -> None:
    scale = Scale(*padded(values), 50, 600)
    assert all(50 <= scale(value) <= 600 for value in values)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert list(ticks) == sorted(set(ticks))
    assert all(49.9 <= scale(tick) <= 600.1 for tick in ticks)


@given(st.integers(1, 10**6), st.integers(2, 12))
def test_steps_have_whole_ticks(last: int, most: int) -> None:
    ticks = Scale(0, last, 50, 600).ticks(most, whole=True)
    assert len(ticks) <= most
    assert len({f"{tick:,.0f}" for tick in ticks}) == len(ticks)
    assert all(tick.is_integer() for tick in ticks)


def test_texts_and_attributes_are_escaped() -> None:
    text = "</text><script>\"'&"
    found = fromstring(element("g", label(1, 2, text), class_=text))
    assert found.get("class") == text
    assert [child.tag for child in found] == ["text"]
    assert found[0].text == text


def test_a_picture_says_what_it_shows() -> None:
    picture = Picture("p", "a <title>", "what it\x1b[2J shows", 10, lambda width: group([label(width, 0, "x")]))
    wide, narrow = fromstring(f"<div>{picture.svg()}</div>")
    for form, width in ((wide, "640.0"), (narrow, "340.0")):
        assert [child.text for child in form] == ["a <title>", "what it shows", "x"]
        assert form.get("aria-labelledby") == f"{form[0].get('id')} {form[1].get('id')}"
        assert form[2].get("x") == width
    assert wide[0].get("id") != narrow[0].get("id")

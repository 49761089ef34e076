"""Text to tree, or to an honest reason."""

from __future__ import annotations

import gc
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgaudit.source.parse import parse


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "# only a comment",
        "x = 1",
        "\ufeffx = 1\n",
        "x = 1\r\nif x:\r\n    y = 2\r\n",
        "x = 1\n\x0cdef f():\n\x0c    return 1\n",
        "if 1:\n\tx = 1\n\ty = 2\n",
        "type X = int\ndef f[T](a: T) -> T: return a\n",
        "match x:\n    case {'a': [1, *rest]}:\n        pass\n",
    ],
)
def test_parses_what_python_parses(text: str) -> None:
    parsed = parse(text)
    assert parsed.problem is None
    assert parsed.module is not None


@pytest.mark.parametrize(
    "text",
    [
        "d = {'a': 1}\nprint(f'{d['a']}')\n",
        'print(f"{"nested " + "quotes"}")\n',
        "print(f'{'\\n'.join(['a'])}')\n",
        "x = f'{\n    1 +\n    2\n}'\n",
        "x = f'{f'{f'{1}'}'}'\n",
    ],
)
def test_parses_f_strings_of_python_312_on_any_python(text: str) -> None:
    assert parse(text).module is not None


@pytest.mark.parametrize(
    "text", ["x = a if b else-1\n", "x = a and(b)or(c)\n", "x = 1if y else 2\n", "x = not(a)and b\n"]
)
def test_parses_keywords_without_space_as_minifiers_write_them(text: str) -> None:
    parsed = parse(text)
    assert parsed.module is not None
    assert parsed.module.code == text


def test_parses_a_line_of_200_kilobytes() -> None:
    assert parse(f"x = '{'a' * 200_000}'\n").module is not None
    assert parse("x = [" + "1, " * 60_000 + "]\n").module is not None


def test_parses_14000_lines() -> None:
    assert parse("x = 1\n" * 14_000).module is not None


def test_joins_thousands_of_adjacent_literals_and_keeps_the_line_numbers() -> None:
    text = "x = (\n" + '"abc"\n' * 12_000 + ")\ny = 1\n"
    parsed = parse(text)
    assert parsed.normalised == ("adjacent string literals joined",)
    assert parsed.module is not None
    assert parsed.module.code.count("\n") == text.count("\n")
    namespace: dict[str, object] = {}
    exec(parsed.module.code, namespace)
    assert namespace["x"] == "abc" * 12_000


@pytest.mark.parametrize(
    "text, line, message",
    [
        ("x = 1\ny = (2\n", 2, "never closed"),
        ("This is the README of our submission.\n", 1, "invalid syntax"),
        ("def f():\nreturn 1\n", 2, "indented block"),
        ("print 'two'\n", 1, "parentheses"),
        ("x = 'open\n", 1, "unterminated string"),
        ("x = 1\ny = '\0'\n", 2, "NUL"),
        ("x = '\ud800'\n", 1, "surrogate"),
        ("if 1:\n\tx = 1\n        y = 2\n", 3, "tabs"),
    ],
)
def test_blames_the_grammar_for_what_no_python_runs(text: str, line: int, message: str) -> None:
    problem = parse(text).problem
    assert problem is not None
    assert (problem.rejected_by, problem.line) == ("grammar", line)
    assert message in problem.message


def test_blames_itself_for_what_python_runs() -> None:
    problem = parse("(a): int = 1\n").problem
    assert problem is not None
    assert problem.rejected_by == "front end"


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 10_000 + "1" + ")" * 10_000,
        "x = " + "[" * 10_000 + "]" * 10_000,
        "x = " + "-" * 10_000 + "1",
        "x = a" + ".b" * 10_000,
        "x = a" + "()" * 10_000,
        "x = 1" + " + 1" * 10_000,
        "x = " + "lambda: " * 10_000 + "1",
        "if 1:\n    pass\n" + "elif 1:\n    pass\n" * 10_000,
        "x = (\n" + "1 +\n" * 10_000 + "1)\n",
        "x = " + "f'{" * 10_000 + "1" + "}'" * 10_000,
        "x = " + "-" * 200_000,
        "x = (\n" + "(\n" * 5_000 + ")\n" * 5_000 + ")\n",
    ],
)
def test_refuses_nesting_that_would_crash_the_parser(text: str) -> None:
    problem = parse(text).problem
    assert problem is not None
    assert problem.message == "nested too deeply"


@pytest.mark.parametrize("text", ["x = " + "(" * 100 + "1" + ")" * 100, "x = 1" + " + 1" * 300, "x = a" + ".b" * 300])
def test_accepts_nesting_that_a_program_may_have(text: str) -> None:
    assert parse(text).module is not None


def test_leaves_the_collector_and_the_nodes_as_they_were() -> None:
    import libcst

    validate = libcst.CSTNode.__post_init__
    assert gc.isenabled()
    parse("x = 1")
    parse("x = (")
    assert gc.isenabled()
    assert libcst.CSTNode.__post_init__ is validate
    gc.disable()
    try:
        parse("x = 1")
        assert not gc.isenabled()
    finally:
        gc.enable()


@settings(max_examples=200)
@given(st.text())
def test_any_text_gives_a_tree_or_a_problem(text: str) -> None:
    parsed = parse(text)
    assert (parsed.module is None) != (parsed.problem is None)


@settings(max_examples=200)
@given(st.text(st.sampled_from("()[]{}'\"\\\n\t #:,.=+-*fxif01 ")))
def test_any_text_of_code_characters_gives_a_tree_or_a_problem(text: str) -> None:
    parsed = parse(text)
    assert (parsed.module is None) != (parsed.problem is None)


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["x = 1", "def f(a, *b, c=1): return a", "for i in y:\n    z(i)", "class A: pass", ""]))
)
def test_a_tree_gives_its_text_back(statements: list[str]) -> None:
    text = "".join(textwrap.dedent(statement) + "\n" for statement in statements)
    module = parse(text).module
    assert module is not None
    assert module.code == text

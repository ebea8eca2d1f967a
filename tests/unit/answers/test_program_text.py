"""Programs in the texts of small models: found, joined, mended, and never made up."""

from __future__ import annotations

import time
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.answers.program_text import MAX_CHARS, parse, read_program

DEF = "def solution():\n    apples = 3\n    return apples * 4\n"
CALL = "print(solution())\n"
BODY = "apples = 3\ntotal = apples * 4\nreturn total\n"


def fenced(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}```\n"


SAME = {
    "nothing but code": DEF,
    "a fence": fenced(DEF),
    "a short language": fenced(DEF, "py"),
    "a capital": fenced(DEF, "Python3"),
    "no language": fenced(DEF, ""),
    "tildes": f"~~~python\n{DEF}~~~\n",
    "an open fence": f"```python\n{DEF}",
    "a fence that the prompt opened": f"{DEF}```\nThis function returns 12.",
    "text right behind a fence": f"{DEF}```This function returns 12.",
    "text before a fence on its line": f"Sure, here it is: {fenced(DEF)}",
    "prose around": f"To solve this, we multiply.\n\n{fenced(DEF)}\nIt returns 12 = 3 * 4.",
    "inline code in prose": f"Write `solution()`:\n{fenced(DEF)}Call `solution()`.",
    "no fence, prose around": f"Here is the function:\n\n{DEF}\nThis returns twelve.",
    "headings around": f"### Solution\n{DEF}### Explanation\nIt returns 12.",
    "indented throughout": DEF.replace("def", "    def")
    .replace("    a", "        a")
    .replace("    r", "        r"),
    "tabs": DEF.replace("    ", "\t"),
    "carriage returns": fenced(DEF).replace("\n", "\r\n"),
    "an interpreter's session": ">>> def solution():\n...     apples = 3\n"
    "...     return apples * 4\n",
    "no-break spaces": DEF.replace(" ", "\xa0"),
    "a byte-order mark": f"\ufeff{DEF}",
    "its output": f"{fenced(DEF)}\nOutput:\n{fenced('12' + chr(10), '')}",
    "a made-up output": f"{fenced(DEF)}{fenced('13' + chr(10), 'output')}\nIt is \\boxed{{13}}.",
    "an installation": f"{fenced('pip install sympy' + chr(10), 'bash')}{fenced(DEF)}",
    "the same again": fenced(DEF) * 3,
    "a mistake taken back": f"{fenced(DEF.replace('4', '5'))}Wait, four boxes:\n{fenced(DEF)}",
    "a statement cut off": f"```python\n{DEF}\nprint(f'The ans",
    "a call cut off": f"{DEF}\nresult = max(\n    1,\n    solu",
    "a block cut off": f"{DEF}\nfor apple in range(3):\n    pri(",
    "a long string cut off": f'{DEF}\n"""\nWhat it does:\nit mul',
}


@pytest.mark.parametrize("form", SAME)
def test_every_way_to_write_one_function(form: str) -> None:
    code = read_program(SAME[form])
    assert code is not None
    assert code.replace("\t", "    ").split() == DEF.split()
    assert parse(code)


@pytest.mark.parametrize(
    "text",
    [
        f"{fenced(DEF)}\nCall it:\n{fenced(CALL)}",
        f"{fenced(DEF)}\nCall it:\n{fenced(CALL, '')}\nwhich prints\n{fenced('12', 'text')}",
        f"The function:\n\n{DEF}\nTo call it:\n\n{CALL}\nThat is all.",
        f"{fenced('import math')}{fenced(DEF)}{fenced(CALL)}".replace("import math", DEF),
    ],
)
def test_later_blocks_continue(text: str) -> None:
    assert (read_program(text) or "").split() == f"{DEF}{CALL}".split()


def test_a_block_stays_whose_helpers_are_not_written_again() -> None:
    helper = "def half(x):\n    return x / 2\n\n\n"
    code = read_program(f"{fenced(helper + DEF)}{fenced(DEF)}") or ""
    assert "half" in code


@pytest.mark.parametrize(
    "text",
    [
        BODY,
        BODY.replace("\n", "\n    ").rstrip(" "),
        f"    {BODY}".replace("\n", "\n    ").rstrip(" "),
    ],
    ids=["flush left", "first line flush left", "indented"],
)
def test_a_body_without_its_function(text: str) -> None:
    assert read_program(text) == BODY


def test_quotes_and_signs_of_a_word_processor_are_typed_only_where_they_must_be() -> None:
    assert read_program("print(“a”, 5 − 3)") == 'print("a", 5 - 3)\n'
    assert read_program("print('“a” − 3')") == "print('“a” − 3')\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes, indeed.",
        "The answer is 12.",
        "Answer: twelve",
        "well-known",
        "12 apples",
        "First we add. Then, with that, we multiply:\n\n3 times 4 is 12.\n\n\\boxed{12}",
        "```",
        "```python\n```",
        fenced("12\n", "output"),
        fenced("SELECT 12", "sql"),
        "x" * (MAX_CHARS + 1),
    ],
)
def test_prose_is_no_program(text: str) -> None:
    assert read_program(text) is None


@pytest.mark.parametrize(
    "code",
    ["def solution(:\n    return 5\n", "a = 5\nb = a +* 2\nprint(b)\n", "print 'five'; x = 3\n"],
)
def test_what_is_broken_in_the_middle_is_not_made_into_another_program(code: str) -> None:
    assert read_program(fenced(code)) == code
    assert parse(code) is None


FRAGMENTS = (
    *("```", "```python\n", "~~~", "\n", "    ", "\t", ">>> ", "... ", "def f(x):\n", "return "),
    *("x = 5", "print(", ")", "(", "[", "{", '"""', "'", "“", "#", "\\", "if x:\n", "lambda: "),
    *("prose, and more. ", "\x00", "\ud800", "\r", "f'{", "@", "class A:\n", "import sympy\n"),
    *("é", "0x", ":", ",", "="),
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join) | st.text(max_size=300))
@settings(max_examples=400, deadline=None)
def test_reading_never_raises_and_what_it_reads_it_reads_again(text: str) -> None:
    code = read_program(text)
    if code is not None and parse(code):
        again = read_program(code)
        assert again is None or parse(again)
        assert code.endswith("\n")


def test_reading_takes_linear_time() -> None:
    def seconds(unit: str, size: int) -> float:
        text = (unit * size)[:size]
        times = []
        for _ in range(2):
            began = time.perf_counter()
            read_program(text)
            times.append(time.perf_counter() - began)
        return min(times)

    units = [
        "".join(pair) for pair in permutations(("```", "\n", "x = (", "a[", '"""', "if x:\n "), 2)
    ]
    for unit in (*units, "```\na=1\n", "@a\n", "x if ", "a,b=", "lambda:", "word word\n", "- "):
        assert seconds(unit, MAX_CHARS) < 16 * seconds(unit, MAX_CHARS // 4) + 0.3, unit

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.errors import ConfigError, UsageError
from ssr_local.core.records import Strategy
from ssr_local.method.pools import (
    LETTERS,
    MAX_POOL_BYTES,
    PACKAGED,
    UNKNOWN,
    Example,
    load_pool,
    wordings,
)
from ssr_local.method.prompts import CONTENT_FREE


def pool_table(**changes: Any) -> dict[str, Any]:
    """A valid pool of two strategies; a change to None takes the key away."""
    table: dict[str, Any] = {
        "name": "mine",
        "description": "My own",
        "answer": "boxed",
        "instruction": "Think, then answer.",
        "strategies": [entry("A"), entry("B")],
    }
    return {key: value for key, value in (table | changes).items() if value is not None}


def entry(letter: str, **changes: Any) -> dict[str, Any]:
    table = {"letter": letter, "name": f"way {letter}", "advice": f"Do {letter}."} | changes
    return {key: value for key, value in table.items() if value is not None}


def write(tmp_path: Path, table: dict[str, Any]) -> str:
    file = tmp_path / "pool.toml"
    file.write_text(tomlkit.dumps(table), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("name", "answer", "count"),
    [("maths", "boxed", 20), ("school", "boxed", 8), ("logic", "boxed", 12), ("code", "code", 12)],
)
def test_packaged_pools_are_complete(name: str, answer: str, count: int) -> None:
    pool = load_pool(name)
    assert (pool.name, pool.answer) == (name, answer)
    assert "".join(strategy.letter for strategy in pool.strategies) == LETTERS[:count]
    assert len({strategy.name for strategy in pool.strategies}) == count
    assert len({strategy.advice for strategy in pool.strategies}) == count
    for strategy in pool.strategies:
        assert len(strategy.advice.split()) <= 30, strategy
        assert strategy.advice.isascii()
        assert strategy.advice.endswith(".")


def test_pools_known_by_name_are_the_packaged_files() -> None:
    import ssr_local.method.pools as package

    files = {file.stem for file in Path(package.__file__).parent.glob("*.toml")}
    assert set(PACKAGED) == files


def test_the_pool_for_everything_holds_the_school_strategies_after_its_own() -> None:
    pool, school = load_pool("maths"), load_pool("school")
    assert [one.name for one in pool.strategies[12:]] == [one.name for one in school.strategies]
    assert pool.by_letter("N").name == school.by_letter("A").name
    assert pool.instruction == school.instruction


def test_typical_problems_are_a_pools_own_or_say_nothing(tmp_path: Path) -> None:
    assert load_pool(write(tmp_path, pool_table(typical=["P?", "Q?"]))).typical == ("P?", "Q?")
    assert load_pool(write(tmp_path, pool_table())).typical == CONTENT_FREE
    assert len(load_pool("maths").typical) == 8


def test_a_pool_with_more_strategies_than_letters_is_refused(tmp_path: Path) -> None:
    entries = [entry(letter) for letter in LETTERS[:6]]
    with pytest.raises(ConfigError, match=r"there are 26 strategies.*\n.*at most 25.*\n.*out 1"):
        load_pool(write(tmp_path, pool_table(strategies=entries, also="maths")))
    pool = load_pool(write(tmp_path, pool_table(strategies=entries[:5], also="maths")))
    assert "".join(one.letter for one in pool.strategies) == LETTERS


def test_by_letter(tmp_path: Path) -> None:
    pool = load_pool("maths")
    assert (pool.by_letter("A"), pool.by_letter("L")) == (pool.strategies[0], pool.strategies[11])
    assert pool.by_letter("M") == UNKNOWN == Strategy("M", "unknown", "")
    pool = load_pool(write(tmp_path, pool_table()))
    for letter in ("C", "a", "", "N", "AB"):
        with pytest.raises(UsageError, match="Accepted: A, B, M"):
            pool.by_letter(letter)


def test_a_users_pool_can_have_examples(tmp_path: Path) -> None:
    shown = {"problem": "2 + 2?", "solution": "Two and two.\n\n\\boxed{4}"}
    pool = load_pool(write(tmp_path, pool_table(examples=[shown])))
    assert pool.examples == (Example(**shown),)


def test_a_users_pool_is_read(tmp_path: Path) -> None:
    pool = load_pool(write(tmp_path, pool_table(answer="code", instruction="One.\nTwo.")))
    assert (pool.name, pool.description, pool.answer) == ("mine", "My own", "code")
    assert pool.instruction == "One.\nTwo."
    assert pool.examples == ()
    assert pool.strategies == (
        Strategy("A", "way A", "Do A."),
        Strategy("B", "way B", "Do B."),
    )


def test_a_packaged_name_wins_over_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, pool_table())
    (tmp_path / "pool.toml").rename(tmp_path / "maths")
    monkeypatch.chdir(tmp_path)
    assert load_pool("maths").name == "maths"
    assert load_pool("./maths").name == "mine"


@pytest.mark.parametrize(
    ("changes", "key", "accepted"),
    [
        ({"name": None}, "'name' is missing", "Required: name, description"),
        ({"strategies": None}, "'strategies' is missing", "strategies"),
        ({"nmae": "x"}, "unknown key 'nmae'", "Did you mean name"),
        ({"answer": "letter"}, "'answer' cannot be 'letter'", "Accepted: boxed, code"),
        ({"answer": 3}, "'answer' cannot be 3", "Accepted: boxed, code"),
        ({"answer": ["boxed"]}, "'answer'", "Accepted: boxed, code"),
        ({"name": 3}, "'name' cannot be", "text of 1 to 80 characters"),
        ({"name": "n" * 81}, "'name' has 81 characters", "1 to 80"),
        ({"description": "two\nlines"}, "'description' holds", "without control characters"),
        ({"instruction": " \n "}, "'instruction' is empty", "1 to 2000"),
        ({"instruction": "i" * 2001}, "'instruction' has 2001", "1 to 2000"),
        ({"instruction": "a\x1b[31mb"}, r"U\+001B", "other than newlines"),
        ({"examples": "2 + 2"}, "'examples' is no list", "tables"),
        ({"examples": [{"problem": "2 + 2?"}]}, "example 1: key 'solution' is missing", "problem"),
        ({"examples": [{"problem": "", "solution": "4"}]}, "'problem' is empty", "1 to 2000"),
        ({"strategies": "A"}, "'strategies' is not a list", "1 to 25"),
        ({"strategies": []}, "'strategies' has 0 entries", "1 to 25"),
        ({"strategies": [entry("A")] * 26}, "26 entries", "1 to 25"),
        ({"also": "mats"}, "'also' cannot be 'mats'", "Accepted: maths, school"),
        ({"typical": "P?"}, "'typical' cannot be 'P[?]'", "at most 16"),
        ({"typical": ["P?"] * 17}, "'typical' cannot be", "at most 16"),
        ({"typical": ["P?", 3]}, "'typical' cannot be 3", "1 to 500"),
        ({"also": ["maths"]}, "'also' cannot be", "Accepted: maths, school"),
        ({"strategies": ["A"]}, "strategy 1: 'A' is not a table", "letter, name, advice"),
        ({"strategies": [entry("A"), entry("A")]}, "strategy 2.*cannot be 'A'", "Accepted: 'B'"),
        ({"strategies": [entry("B")]}, "strategy 1.*cannot be 'B'", "Accepted: 'A'"),
        ({"strategies": [entry("A"), entry("C")]}, "cannot be 'C'", "Accepted: 'B'"),
        ({"strategies": [entry("a")]}, "cannot be 'a'", "Accepted: 'A'"),
        ({"strategies": [entry("M")]}, "cannot be 'M'", "M is reserved"),
        ({"strategies": [entry("A") | {"letter": 1}]}, "'letter' cannot be 1", "Accepted: 'A'"),
        ({"strategies": [entry("A", advice=None)]}, "'advice' is missing", "Required"),
        ({"strategies": [entry("A", advice="")]}, "'advice' is empty", "1 to 500"),
        ({"strategies": [entry("A", advice="   ")]}, "'advice' is empty", "1 to 500"),
        ({"strategies": [entry("A", advice="a" * 501)]}, "'advice' has 501", "1 to 500"),
        ({"strategies": [entry("A", advice="a\nb")]}, r"U\+000A", "without control characters"),
        ({"strategies": [entry("A", advice="a\x9b31m")]}, r"U\+009B", "without control"),
        ({"strategies": [entry("A", advice="a\u202eb")]}, r"U\+202E", "without control"),
        ({"strategies": [entry("A", advise="x")]}, "unknown key 'advise'", "mean advice"),
    ],
)
def test_what_is_wrong_in_a_pool_is_named(
    tmp_path: Path, changes: dict[str, Any], key: str, accepted: str
) -> None:
    name = write(tmp_path, pool_table(**changes))
    with pytest.raises(ConfigError, match=key) as caught:
        load_pool(name)
    message = str(caught.value)
    assert name in message
    assert accepted in message
    assert len(message.splitlines()) <= 3
    assert "\x1b" not in message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"name = 'x'\nname = ", "line 2: not valid TOML"),
        (b"#" * (MAX_POOL_BYTES + 1), "too large"),
        (b"", "key 'name' is missing"),
    ],
    ids=["syntax", "size", "empty"],
)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    file = tmp_path / "pool.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_pool(str(file))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("math", "Did you mean maths"),
        ("none.toml", "Pools: maths, school, logic, code"),
        ("~nobody-of-this-name/pool.toml", "no file of that name"),
        ("x" * 5000, "cannot be read"),
        (".", "not a regular file"),
        ("a\0b", "cannot be read"),
    ],
)
def test_a_pool_that_cannot_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_pool(name)
    assert hint in str(caught.value)
    assert "\0" not in str(caught.value)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1).map(
            lambda text: text[:500]
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_ordinary_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, advices: list[str]
) -> None:
    entries = [entry(c, advice=text) for c, text in zip(LETTERS, advices, strict=False)]
    name = write(tmp_path_factory.mktemp("pool"), pool_table(strategies=entries))
    assert [strategy.advice for strategy in load_pool(name).strategies] == advices


@pytest.mark.parametrize("name", PACKAGED)
def test_the_prompt_of_0_1_0_stays_what_it_was(name: str) -> None:
    pool = load_pool(name, "first")
    assert pool.system.startswith("You are a careful problem solver.")
    assert pool.instruction.startswith("Reason step by step in short paragraphs")
    assert pool.instruction.endswith("it needs." if name == "code" else "within \\boxed{}.")
    assert pool.strategies == load_pool(name).strategies


def test_prompts_to_compare_are_told_apart_in_prose_and_in_programs() -> None:
    pools = [load_pool("maths", name) for name in ("", *wordings())]
    assert len({(one.system, one.instruction, one.examples) for one in pools}) >= 10
    assert len({(one.system, one.program_instruction) for one in pools}) >= 5


@pytest.mark.parametrize("prompt", wordings())
def test_a_prompt_asks_for_a_box_where_the_pool_wants_one(prompt: str) -> None:
    for name in ("maths", "school", "logic"):
        pool = load_pool(name, prompt)
        assert r"\boxed" in pool.system + pool.instruction
        assert all(r"\boxed" in one.solution for one in pool.examples)


def test_a_prompt_that_asks_for_a_box_is_refused_where_answers_are_code() -> None:
    refused = [name for name, words in wordings().items() if "instruction" in words]
    for name in refused:
        with pytest.raises(ConfigError, match="this pool's answers are code"):
            load_pool("code", name)
    for name in wordings().keys() - refused:
        assert r"\boxed" not in load_pool("code", name).instruction

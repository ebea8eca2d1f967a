"""``ssr-local tune`` as a user runs it, on tiny models that the real engine runs."""

from __future__ import annotations

import json
import signal
import time

import pytest

from ssr_local.bench.records import Problem, Row
from ssr_local.bench.store import ROWS
from ssr_local.cli.tune import _methods
from ssr_local.core.line_file import read_lines
from ssr_local.core.records import Profile
from ssr_local.method.auto import ALONE
from ssr_local.models.models_toml import parse_models_toml
from ssr_local.models.registry import load_registry, save_profile
from tests.tiny_gguf import TURN_END, ids, token_id, write_tiny_model

from .program import Program

NUM = 10
ANSWER = [*ids("\\boxed{18}"), token_id(TURN_END)]


@pytest.fixture
def program(program: Program) -> Program:
    """A pair "mine" whose models soon say 18, which is right of every second problem."""
    home = program.folder
    (home / "config").mkdir()
    (home / "p.jsonl").write_text(
        "".join(
            json.dumps({"id": f"p{i}", "problem": f"Hens {i}?", "answer": str(18 + i % 2)}) + "\n"
            for i in range(NUM)
        )
    )
    toml = "[pairs.mine]\n"
    for seed, role in enumerate(("draft", "target")):
        bias = {ids("\\")[0]: 12.0}
        path = write_tiny_model(home / f"{role}.gguf", seed=seed, chains=[ANSWER], logit_bias=bias)
        toml += f'{role} = "{path.as_posix()}"\n'
    (home / "config" / "models.toml").write_text(toml)
    return program


def arguments(*more: str) -> tuple[str, ...]:
    return ("tune", "--pair", "mine", "--data", "p.jsonl", "--threads", "1", *more)


def rows(program: Program) -> list[Row]:
    return list(read_lines(program.folder / "data" / "tune" / "mine" / "p" / ROWS, Row))


def test_a_tune_that_is_killed_goes_on_and_its_profile_is_followed(program: Program) -> None:
    process = program.start(*arguments())
    try:
        deadline = time.monotonic() + 60
        file = program.folder / "data" / "tune" / "mine" / "p" / ROWS
        while not (file.exists() and file.read_bytes().count(b"\n") >= 5):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    before = rows(program)
    done = program.here(*arguments())
    assert done.returncode == 0, done.stderr
    after = rows(program)
    assert after[: len(before)] == before
    assert len({row.key for row in after}) == len(after)
    assert b"In force" in done.stdout
    file = program.folder / "data" / "profiles" / "mine.toml"
    file.write_text(file.read_text().replace("harmful = []", 'harmful = ["probability"]'))
    assert program.here(*arguments()).returncode == 0
    toml = file.read_text()
    profile = parse_models_toml(toml, "mine")[1]["mine"].profile
    assert profile is not None
    assert f"on {NUM} problems of p" in profile.note
    assert profile.harmful == ("probability",), "what was not measured is kept"
    alone = profile.plans["prose:target"]
    assert (alone.num, alone.times_target) == (NUM, 1)
    assert alone.right == sum(
        row.outcome == "right" for row in after if row.method == "prose:target"
    )
    assert profile.kinds["program:target"].right == 0, "18 is no program"
    solved = program.here("solve", "--pair", "mine", "--threads", "1", "Hens?")
    assert f"{profile.normal} (normal): measured with this pair".encode() in solved.stderr
    with (program.folder / "p.jsonl").open("a") as problems:
        problems.write(json.dumps({"id": "new", "problem": "Ducks?", "answer": "18"}) + "\n")
    (program.folder / "draft.gguf").write_bytes(b"damaged")
    file.unlink()
    failed = program.here(*arguments())
    assert failed.returncode == 3
    assert b"draft.gguf" in failed.stderr
    assert b"In force" in failed.stdout, "what there is counts"
    assert file.exists()
    refused = program.here(*arguments("--forget", "--out", "."))
    assert refused.returncode == 2
    assert str(file).encode() in refused.stderr
    assert rows(program)
    forgotten = program.here(*arguments("--forget"))
    assert b"Forgotten" in forgotten.stdout
    assert rows(program) == []
    assert not file.exists()
    assert b"Nothing was found out" in program.here(*arguments("--forget")).stdout


def test_formulas_give_plans_of_their_own_and_plans_without_their_draft_are_left_out(
    program: Program,
) -> None:
    data = program.folder / "p.jsonl"
    data.write_text(data.read_text().replace("Hens", r"\\(x\\) hens"))
    file = program.folder / "config" / "models.toml"
    lines = file.read_text().splitlines()
    toml = f"""[models.small]
file = "small.gguf"
sources = [{{ kind = "file", path = "{program.folder.as_posix()}/nowhere.gguf" }}]
{lines[0]}
draft = "small"
{lines[2]}
"""
    file.write_text(toml)
    done = program.here(*arguments())
    assert done.returncode == 0, done.stderr
    assert b"not here: prose:ssd, 3 x prose:ssd; agree." in done.stderr
    assert b"ssr-local models pull small" in done.stderr
    assert not any("ssd" in row.method for row in rows(program))
    toml = (program.folder / "data" / "profiles" / "mine.toml").read_text()
    profile = parse_models_toml(toml, "mine")[1]["mine"].profile
    assert profile is not None
    assert profile.plans_for["typeset"].thorough == profile.thorough


def test_shipped_plans_are_tried_also_when_another_profile_is_in_force() -> None:
    pair = load_registry().pair("default")
    shipped = pair.profile
    assert shipped is not None
    save_profile(pair, Profile(quick="5 x prose:target", normal=ALONE, thorough=ALONE))
    problems = [Problem(id=text, problem=text, answer="1") for text in ("Hens?", r"\(x\)", "$y$")]
    pair = load_registry().pair("default")
    for some, plans in ((problems[:1], shipped), (problems, shipped.plans_for["typeset"])):
        names = [one.name for one in _methods(pair, some, ())]
        assert {"5 x prose:target", plans.quick, plans.normal, plans.thorough} <= set(names)


def test_too_little_time_for_a_profile_says_how_to_go_on(program: Program) -> None:
    done = program.here(*arguments("--minutes", "0.001"))
    assert done.returncode == 1
    assert b"it takes 10" in done.stdout
    assert b"goes on from here" in done.stdout
    assert len(rows(program)) == 1
    assert not (program.folder / "data" / "profiles").exists()


@pytest.mark.parametrize(
    ("config", "option", "value", "words"),
    [
        ("", "--pair", "demo", b"cannot be tuned"),
        ("", "--draft", "qwen2.5-0.5b", b"No such option"),
        ('draft = "qwen2.5-0.5b"', "--pair", "default", b"belongs to a pair"),
    ],
)
def test_what_cannot_be_tuned(
    program: Program, config: str, option: str, value: str, words: bytes
) -> None:
    program.configure(config)
    done = program.here("tune", option, value)
    assert done.returncode == 2
    assert words in done.stderr


def test_an_interrupt_ends_it_with_what_there_is(program: Program) -> None:
    process = program.start(*arguments())
    deadline = time.monotonic() + 60
    file = program.folder / "data" / "tune" / "mine" / "p" / ROWS
    while not (file.exists() and file.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"goes on from here" in out
    assert b"Traceback" not in err

from __future__ import annotations

import math
from typing import Any

import pytest

from ssr_local.core.errors import UsageError
from ssr_local.core.options import (
    EngineOptions,
    SolveOptions,
    accepted_values,
    choices,
    describe,
    validate,
    why_not_offered,
    with_changes,
)
from ssr_local.method.verification import VERIFIERS

FIELDS: list[tuple[Any, str]] = [
    *((SolveOptions, name) for name in SolveOptions.__struct_fields__),
    *((EngineOptions, name) for name in EngineOptions.__struct_fields__),
]


WRONG: list[tuple[Any, str, Any]] = [
    (SolveOptions, "method", "magic"),
    (SolveOptions, "paths", 0),
    (SolveOptions, "paths", 13),
    (SolveOptions, "paths", 2.5),
    (SolveOptions, "paths", True),
    (SolveOptions, "mode", "fast3"),
    (SolveOptions, "strategies", ""),
    (SolveOptions, "prompt", 1),
    (SolveOptions, "selection", ""),
    (SolveOptions, "selection_permutations", 13),
    (SolveOptions, "verifier", "oracle"),
    (SolveOptions, "effort", "much"),
    (SolveOptions, "plan", "x" * 501),
    (SolveOptions, "threshold", 9.1),
    (SolveOptions, "threshold", math.nan),
    (SolveOptions, "max_tokens", -1),
    (SolveOptions, "max_steps", 10**6),
    (SolveOptions, "max_step_tokens", 0),
    (SolveOptions, "time_limit", -1.0),
    (SolveOptions, "time_limit", math.inf),
    (SolveOptions, "temperature", -0.1),
    (SolveOptions, "top_p", 0.0),
    (SolveOptions, "seed", 2**32),
    (EngineOptions, "pair", ""),
    (EngineOptions, "draft", 3),
    (EngineOptions, "threads", -1),
    (EngineOptions, "engine", "vllm"),
    (EngineOptions, "repack", "yes"),
    (EngineOptions, "gpu_layers", -2),
    (EngineOptions, "ctx", 2**40),
]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [*WRONG, pytest.param(SolveOptions, "seed", 10**5000, id="too long to print")],
)
def test_wrong_values_are_refused_by_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        validate(kind, {name: value})
    assert repr(name) in caught.value.what
    assert "Accepted" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_every_option_has_a_wrong_value_in_the_table() -> None:
    assert {name for _, name, _ in WRONG} | {"target"} == {name for _, name in FIELDS}


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no option 'path'") as caught:
        validate(SolveOptions, {"path": 3})
    assert "paths" in str(caught.value)


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_defaults_are_accepted_and_described(kind: Any, name: str) -> None:
    default = getattr(kind(), name)
    assert getattr(validate(kind, {name: default}), name) == default
    assert describe(kind, name) not in ("", name)
    assert accepted_values(kind, name).startswith("Accepted: ")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("paths", "5", 5),
        ("threshold", "6.5", 6.5),
        ("threshold", 7, 7.0),
        ("mode", "fast1", "fast1"),
        ("seed", None, None),
        ("seed", 2**32 - 2, 2**32 - 2),
    ],
)
def test_text_is_read_as_numbers_only_when_asked(name: str, given: Any, value: Any) -> None:
    assert getattr(validate(SolveOptions, {name: given}, strict=False), name) == value
    if given == value:
        assert getattr(validate(SolveOptions, {name: given}), name) == value
    else:
        with pytest.raises(UsageError):
            validate(SolveOptions, {name: given})


def test_with_changes_keeps_the_rest_and_validates() -> None:
    changed = with_changes(SolveOptions(seed=7), paths=5)
    assert (changed.seed, changed.paths) == (7, 5)
    with pytest.raises(UsageError):
        with_changes(changed, paths=99)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mode", ("full", "fast1", "fast2")),
        ("selection", ("logprob", "generate", "none")),
        ("verifier", tuple(VERIFIERS)),
        ("paths", ()),
        ("seed", ()),
    ],
)
def test_choices(name: str, words: tuple[str, ...]) -> None:
    assert choices(SolveOptions, name) == words


def test_the_paper_s_defaults() -> None:
    options = SolveOptions()
    assert (options.method, options.effort) == ("auto", "normal")
    assert (options.threshold, options.temperature, options.top_p) == (7.0, 0.6, 0.95)
    assert (options.paths, options.selection) == (3, "logprob")


@pytest.mark.parametrize(
    ("name", "value"), [("verifier", "digit"), ("verifier", ["combined"]), ("selection", "none")]
)
def test_what_is_offered_needs_nothing_instead(name: str, value: Any) -> None:
    assert why_not_offered(name, value) == ""


def test_python_may_use_ablations_but_no_retired_verifier() -> None:
    validate(SolveOptions, {"selection": "random", "selection_permutations": 3})
    assert "random" not in choices(SolveOptions, "selection")
    with pytest.raises(UsageError, match="Use min-likelihood"):
        validate(SolveOptions, {"verifier": "combined"})

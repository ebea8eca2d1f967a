from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.bench.methods import BASES, MODIFIERS, parse_method, parse_methods
from ssr_local.core.errors import UsageError
from ssr_local.core.options import SolveOptions, with_changes
from ssr_local.method.verification import VERIFIERS


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("target", {"method": "target"}),
        ("parallel-3", {"method": "parallel", "paths": 3}),
        ("parallel-spm-12", {"method": "parallel-spm", "paths": 12}),
        ("ssr-m3-fast1", {"method": "ssr", "paths": 3, "mode": "fast1"}),
        ("parallel-5-fast2", {"method": "parallel", "paths": 5, "mode": "fast2"}),
        ("ssr-m3+random", {"method": "ssr", "paths": 3, "selection": "random"}),
        ("parallel-spm-2+none", {"method": "parallel-spm", "paths": 2, "selection": "none"}),
        ("ssr-m3+generate", {"method": "ssr", "paths": 3, "selection": "generate"}),
        ("ssr-m3+perm=12", {"method": "ssr", "paths": 3, "selection_permutations": 12}),
        ("ssr-m3+tau=5", {"method": "ssr", "paths": 3, "threshold": 5.0}),
        ("target+prompt=first", {"method": "target", "prompt": "first"}),
        ("auto-quick+prompt=first", {"method": "auto", "effort": "quick", "prompt": "first"}),
        (
            "ssr-m3-fast2+digit+random+tau=5",
            {
                "method": "ssr",
                "paths": 3,
                "mode": "fast2",
                "selection": "random",
                "threshold": 5.0,
                "verifier": "digit",
            },
        ),
    ],
)
def test_a_name_says_what_it_changes(name: str, changes: dict[str, object]) -> None:
    spec = parse_method(name)
    assert spec.name == name
    other = SolveOptions(
        max_tokens=77, paths=7, mode="fast1", selection="first", selection_permutations=2
    )
    usual = {"paths": 3, "mode": "full", "selection": "logprob", "selection_permutations": 1}
    options = spec.options(other)
    assert options == with_changes(other, **(usual | changes))
    assert options.max_tokens == 77


def test_a_method_is_asked_in_the_words_of_the_bench_unless_it_names_its_own() -> None:
    bench = SolveOptions(prompt="short")
    prompts = {"target": "short", "greedy prose:target": "short", "target+prompt=first": "first"}
    for name, prompt in prompts.items():
        assert parse_method(name).options(bench).prompt == prompt


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        (" SSR-M3 ", "ssr-m3"),
        ("ssr-m3+tau=5.0+random", "ssr-m3+random+tau=5"),
        ("ssr-m3+random+tau=5", "ssr-m3+random+tau=5"),
        ("ssr-m3+none+digit", "ssr-m3+digit+none"),
    ],
)
def test_a_method_has_one_spelling(written: str, canonical: str) -> None:
    assert parse_method(written).name == canonical


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "no method"),
        ("targte", "Did you mean target"),
        ("ssr", "no method"),
        ("ssr-m0", "no method"),
        ("ssr-m13", "at most 12"),
        ("ssr-m3-fast3", "no method"),
        ("target-fast1", "nothing can end early"),
        ("target+random", "selects no strategies"),
        ("parallel-3+perm=2", "selects no strategies"),
        ("parallel-3+tau=5", "verifies no steps"),
        ("draft+digit", "verifies no steps"),
        ("ssr-m3+magic", "no modifier"),
        ("ssr-m3+random=2", "no modifier"),
        ("target+prompt=secret", "its prompts are first"),
        ("ssr-m3+tau", "needs a number"),
        ("ssr-m3+tau=high", "needs a number"),
        ("ssr-m3+tau=10", "threshold"),
        ("ssr-m3+perm=13", "selection_permutations"),
        ("ssr-m3+perm=1.5", "needs a number"),
        ("ssr-m3+random+none", "twice"),
        ("ssr-m3+digit+likelihood", "twice"),
        ("ssr-m3+combined", "Use min-likelihood"),
        ("ssr-m3+", "no method"),
        ("ssr-m3\x1b[31m", "no method"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_method(name)
    assert "\x1b" not in str(caught.value)


def test_lists_keep_their_order_and_name_nothing_twice() -> None:
    assert [spec.name for spec in parse_methods("target, ssr-m3,draft,")] == [
        "target",
        "ssr-m3",
        "draft",
    ]
    with pytest.raises(UsageError, match="twice"):
        parse_methods("ssr-m3+tau=5,ssr-m3+tau=5.0")
    with pytest.raises(UsageError, match="No method"):
        parse_methods(" , ")


def test_everything_that_is_listed_can_be_named() -> None:
    for form in BASES:
        plan = "program:target; first; prose:ssd@B"
        name = form.name.replace("PLAN", plan).replace("EFFORT", "quick").replace("-N", "-3")
        parse_method(name.replace("mN", "m3"))
    for verifier in VERIFIERS:
        assert parse_method(f"ssr-m3+{verifier}").changes["verifier"] == verifier
        assert f"+{verifier}" in [form.name for form in MODIFIERS]


@given(st.text(max_size=40))
def test_any_text_is_a_method_or_a_usage_error(text: str) -> None:
    try:
        spec = parse_method(text)
    except UsageError:
        return
    assert parse_method(spec.name) == spec

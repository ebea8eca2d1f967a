"""What a user can set, with every default exactly once.

The command line, the configuration file, the environment and Python all build these two
structs; ``validate`` is the only place that judges the values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from ssr_local.core.display import quoted
from ssr_local.core.errors import UsageError

Method = Literal["auto", "ssr", "target", "draft", "parallel", "parallel-spm", "specreason"]
Effort = Literal["quick", "normal", "thorough"]
Mode = Literal["full", "fast1", "fast2"]
Selection = Literal["logprob", "generate", "none", "random", "first"]
VerifierName = Literal["min-likelihood", "number-likelihood", "likelihood", "digit"]

MAX_PATHS = 12
USUAL_BUDGET = 1024
"""Tokens of a path of whose length nothing is known."""


class SolveOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one problem is solved."""

    method: Annotated[
        Method,
        Meta(
            description="auto: the plan that suits pair, problem and effort; ssr: strategies,"
            " drafts, verification; specreason: one path without strategies; target, draft: one"
            " path by that model alone; parallel, parallel-spm: target paths without and with"
            " strategies"
        ),
    ] = "auto"
    effort: Annotated[
        Effort, Meta(description="how much the method auto may spend on an answer")
    ] = "normal"
    plan: Annotated[
        str,
        Meta(
            max_length=500,
            description="a plan of your own instead of a method, such as"
            " 'program:target + prose:target; agree; 3 x prose:target'",
        ),
    ] = ""
    paths: Annotated[int, Meta(ge=1, le=MAX_PATHS, description="number of reasoning paths")] = 3
    mode: Annotated[
        Mode,
        Meta(
            description="full: wait for every path; fast1: stop at the first answer;"
            " fast2: stop when two answers agree"
        ),
    ] = "full"
    strategies: Annotated[
        str,
        Meta(
            min_length=1,
            description="strategy pool: maths, school, logic, code, or the path of a TOML file",
        ),
    ] = "maths"
    prompt: Annotated[
        str,
        Meta(
            description="the words to ask in, by their name in the table of prompts; '': the pool's"
        ),
    ] = ""
    selection: Annotated[
        Selection, Meta(description="how the target picks strategies from the pool")
    ] = "logprob"
    selection_permutations: Annotated[
        int,
        Meta(ge=1, le=12, description="letter orders averaged by the logprob selection"),
    ] = 1
    verifier: Annotated[VerifierName, Meta(description="how the target scores a drafted step")] = (
        "min-likelihood"
    )
    threshold: Annotated[
        float, Meta(ge=0, le=9, description="lowest score at which a step is kept")
    ] = 7.0
    max_tokens: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description=f"token budget of one path; 0: the plan's, else {USUAL_BUDGET}",
        ),
    ] = 0
    max_steps: Annotated[int, Meta(ge=1, le=10_000, description="step budget of one path")] = 64
    max_step_tokens: Annotated[
        int, Meta(ge=1, le=100_000, description="tokens after which a step ends anyway")
    ] = 256
    time_limit: Annotated[
        float,
        Meta(
            ge=0,
            description="seconds, pauses apart, after which a run stops with what it has; 0: none",
        ),
    ] = 0.0
    temperature: Annotated[
        float, Meta(ge=0, le=10, description="sampling temperature; 0: greedy")
    ] = 0.6
    top_p: Annotated[
        float, Meta(gt=0, le=1, description="nucleus sampling: share of probability kept")
    ] = 0.95
    seed: Annotated[
        Annotated[int, Meta(ge=0, le=2**32 - 2)] | None,
        Meta(description="makes a run repeatable on one machine; drawn at random when not given"),
    ] = None

    @property
    def leaves_plan(self) -> bool:
        """Whether the plan is to be chosen for the pair and the effort."""
        return self.method == "auto" and not self.plan

    @property
    def budget(self) -> int:
        """The tokens that a path may write."""
        return self.max_tokens or USUAL_BUDGET


class EngineOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models are loaded, and how. ``ctx`` and ``threads`` of 0 mean: chosen for you."""

    pair: Annotated[
        str, Meta(min_length=1, description="draft and target pair from models.toml")
    ] = "default"
    draft: Annotated[
        str | None,
        Meta(
            description="draft model instead of the pair's: a name, .gguf file or USER/REPO:Q4_K_M"
        ),
    ] = None
    target: Annotated[
        str | None,
        Meta(
            description="target model instead of the pair's: a name, .gguf file or USER/REPO:Q4_K_M"
        ),
    ] = None
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="CPU threads; 0: one a physical core that is free")
    ] = 0
    engine: Annotated[
        Literal["auto", "llama", "ik"],
        Meta(
            description="library that runs the models; auto: ik where it is installed and"
            " passes its self-check, else llama.cpp"
        ),
    ] = "auto"
    repack: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="repack the weights for the CPU at load: slower to start, more"
            " memory, and with ik faster; auto: where memory allows"
        ),
    ] = "auto"
    gpu_layers: Annotated[
        int,
        Meta(
            ge=-1,
            le=100_000,
            description="layers of each model put on the GPU; auto or -1: as many as fit",
        ),
    ] = -1
    ctx: Annotated[
        int,
        Meta(
            ge=0,
            le=16_777_216,
            description="KV-cache cells a model, in steps of 256; 0: enough for the paths' budgets",
        ),
    ] = 0


_ABLATIONS = {"selection": ("random", "first")}
_UNOFFERED = ("prompt", "selection_permutations")

OFFERED = tuple(
    name
    for kind in (SolveOptions, EngineOptions)
    for name in kind.__struct_fields__
    if name not in _UNOFFERED
)
"""What the command line, the configuration file and the app offer: not the bench's ablations."""

RETIRED_VERIFIERS = {
    "combined": "min-likelihood",
    "yes-no": "min-likelihood",
    "expected-digit": "digit",
}
"""Verifiers of earlier versions -> what to use instead."""

_Options = TypeVar("_Options", SolveOptions, EngineOptions)

VERIFIED_METHODS = frozenset(("ssr", "specreason"))
"""The methods whose drafted steps the target judges."""

SYNONYMS: dict[str, dict[str, int]] = {"gpu_layers": {"auto": -1}}
"""Words that numbers are also known by, option by option."""


def validate(kind: type[_Options], values: dict[str, Any], *, strict: bool = True) -> _Options:
    """``values`` as options of that kind.

    ``strict=False`` also reads numbers out of text, for environment variables. Raises
    ``UsageError`` naming the option, what was given, and what is accepted.
    """
    unknown = sorted(set(values) - set(kind.__struct_fields__))
    if unknown:
        raise UsageError(
            f"There is no option {quoted(unknown[0])}.",
            "",
            f"Options are: {', '.join(kind.__struct_fields__)}.",
        )
    checked: dict[str, Any] = {}
    for name, value in values.items():
        meant = SYNONYMS.get(name, {}).get(value, value) if isinstance(value, str) else value
        try:
            one: _Options = msgspec.convert({name: meant}, kind, strict=strict)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter: no UTF-8
            raise _refusal(kind, name, value) from error
        checked[name] = getattr(one, name)
        if isinstance(checked[name], float) and not math.isfinite(checked[name]):
            raise UsageError(f"Option {name!r} cannot be {value!r}.", "Accepted: a finite number.")
    return kind(**checked)


def with_changes(options: _Options, **changes: Any) -> _Options:
    """The same options with some values replaced, validated again."""
    current = {name: getattr(options, name) for name in options.__struct_fields__}
    return validate(type(options), current | changes)


def why_not_offered(name: str, value: object = None) -> str:
    """What replaces an option or a value that is offered no more, "" for all others."""
    if name == "verifier" and isinstance(value, str) and value in RETIRED_VERIFIERS:
        return (
            f"The verifier {value!r} is no longer offered. Use {RETIRED_VERIFIERS[value]};"
            f" accepted: {', '.join(choices(SolveOptions, name))}."
        )
    if value in _ABLATIONS.get(name, ()):
        return (
            f"That is an ablation: ssr-local bench run --methods ssr-m3+{value}."
            f" Accepted: {', '.join(choices(SolveOptions, name))}."
        )
    if name == "selection_permutations":
        return "Letter orders are an ablation: ssr-local bench run --methods ssr-m3+perm=2."
    return ""


def accepted_values(kind: type[SolveOptions] | type[EngineOptions], name: str) -> str:
    """In words, which values an option takes."""
    words = choices(kind, name)
    return f"Accepted: {', '.join(words) if words else describe(kind, name)}."


def choices(kind: type[SolveOptions] | type[EngineOptions], name: str) -> tuple[str, ...]:
    """The words an option offers, empty when it takes numbers or free text."""
    for annotated in get_args(_hints(kind)[name])[:1]:
        if get_origin(annotated) is Literal:
            kept_back = _ABLATIONS.get(name, ())
            return tuple(str(value) for value in get_args(annotated) if value not in kept_back)
    return ()


def describe(kind: type[Struct], name: str) -> str:
    """One line on what an option does, and the range of a number."""
    description, limits = name, ""
    for meta in _metas(_hints(kind)[name]):
        description = meta.description or description
        limits = _range(meta) or limits
    return f"{description} ({limits})" if limits else description


def _metas(annotation: Any) -> Iterator[Meta]:
    """What is said of an option's type, or of the type that it may have beside None."""
    for part in get_args(annotation):
        if isinstance(part, Meta):
            yield part
        else:
            yield from _metas(part)


def _range(meta: Meta) -> str:
    above = meta.ge if meta.ge is not None else meta.gt
    if above is None:
        return ""
    start = f"{above}" if meta.ge is not None else f"above {above}"
    return f"{start} or more" if meta.le is None else f"{start} to {meta.le}"


def _refusal(kind: type[SolveOptions] | type[EngineOptions], name: str, value: Any) -> UsageError:
    retired = why_not_offered(name, value) if name == "verifier" else ""
    return UsageError(
        f"Option {name!r} cannot be {quoted(value)}.", retired or accepted_values(kind, name)
    )


def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)

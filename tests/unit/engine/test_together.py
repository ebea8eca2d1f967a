"""Several runs over the same engines come to what each comes to alone, in fewer batches."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.coordinator import Run, solve
from ssr_local.coordinator.prompter import Prompter
from ssr_local.core.errors import DecodeError
from ssr_local.core.records import Author, ReasoningPath
from ssr_local.engine.base import Engine, ExtendJob, Sampling, StepJob, decode_steps
from ssr_local.engine.fake import FakeEngine, Script
from ssr_local.engine.together import Together

from ..coordinator.scripted import InThisProcess, Paths, Turn, make_run

ROLES: tuple[Author, ...] = ("draft", "target")


class ByProblem(Script):
    """A script for each problem; a prompt holds its problem's name."""

    def __init__(self, scripts: Mapping[str, Paths]) -> None:
        self._scripts = scripts

    def _of(self, text: str) -> Paths:
        return next(script for name, script in self._scripts.items() if name in text)

    def continuation(self, role: Author, text: str) -> str:
        return self._of(text).continuation(role, text)

    def probe(self, text: str) -> Mapping[str, float]:
        return self._of(text).probe(text)


def turns(name: str, count: int) -> list[Turn]:
    """Steps of unlike lengths, every third of them rejected."""
    steps = [
        Turn(
            " ".join([name, str(number)] + ["word"] * (number * 3 % 5)) + ".\n\n",
            0.5 if number % 3 == 2 else 0.9,
            f"{name} rewritten {number}.\n\n",
        )
        for number in range(count)
    ]
    return [*steps, Turn(f"So \\boxed{{{name}}}.")]


SCRIPTS = {f"Problem{i}": Paths(turns(f"p{i}", i + 1)) for i in range(5)}


def engines(**options: int) -> dict[Author, FakeEngine]:
    script = ByProblem(SCRIPTS)
    return {role: FakeEngine(script, role=role, max_sequences=32, **options) for role in ROLES}


def run_on(views: Mapping[Author, Engine], problem: str, method: str = "ssr") -> Run:
    """A run of the problem on other engines than it was made with."""
    run = make_run(SCRIPTS[problem], problem=problem, method=method)
    own = {role: views[role] for role in run.plan.roles}
    return Run(
        problem=problem,
        options=run.options,
        plan=run.plan,
        pool=run.pool,
        engines=own,
        prompters=make_prompters(own, run),
        judge=run.judge,
        compare=run.compare,
    )


def make_prompters(own: Mapping[Author, Engine], run: Run) -> dict[Author, Prompter]:
    return {role: Prompter(engine, run.pool, InThisProcess()) for role, engine in own.items()}


def paths_of(run: Run) -> tuple[ReasoningPath, ...]:
    return tuple(path.record() for path in run.paths)


def played(run: Run) -> Run:
    for _ in solve(run):
        pass
    return run


@pytest.mark.parametrize("method", ["ssr", "specreason", "parallel", "parallel-spm", "target"])
def test_every_run_comes_to_what_it_comes_to_alone(method: str) -> None:
    shared = engines()
    together = Together(shared, len(SCRIPTS))
    runs = [
        run_on(views, problem, method)
        for problem, views in zip(SCRIPTS, together.views, strict=True)
    ]
    outcomes = together.run([lambda run=run: played(run) for run in runs])  # type: ignore[misc]
    assert outcomes == runs
    for problem, run in zip(SCRIPTS, runs, strict=True):
        alone = played(run_on(engines(), problem, method))
        assert paths_of(run) == paths_of(alone)
        assert run.usage == alone.usage
        assert run.groups == alone.groups
        assert run.groups[0].answer == problem.replace("Problem", "p")
    for engine in shared.values():
        assert engine._book.seq_ids == ()


def rounds(engine: FakeEngine) -> list[int]:
    return [len(ids) for name, ids in engine.history if name == "decode_round"]


def test_paths_of_all_runs_go_in_the_same_batches() -> None:
    shared = engines()
    together = Together(shared, len(SCRIPTS))
    runs = [run_on(v, p, "parallel") for p, v in zip(SCRIPTS, together.views, strict=True)]
    together.run([lambda run=run: played(run) for run in runs])  # type: ignore[misc]
    widths = rounds(shared["target"])
    assert max(widths) == 3 * len(SCRIPTS)
    longest = max(
        len(rounds(played(run_on(own, problem, "parallel")).engines["target"]))  # type: ignore[arg-type]
        for problem in SCRIPTS
        for own in (engines(),)
    )
    assert len(widths) <= longest + len(SCRIPTS)


def test_one_run_that_fails_leaves_the_others_alone() -> None:
    together = Together(engines(), 3)
    runs = [run_on(v, p) for p, v in zip(SCRIPTS, together.views, strict=False)]

    def breaks() -> Run:
        for number, _ in enumerate(solve(runs[1])):
            if number == 20:
                raise DecodeError("broken")
        return runs[1]

    first, second, third = together.run([lambda: played(runs[0]), breaks, lambda: played(runs[2])])
    assert isinstance(second, DecodeError)
    assert (first, third) == (runs[0], runs[2])
    assert runs[2].groups[0].answer == "p2"


class Breaking(FakeEngine):
    """Fails at the fifth round, for everybody who takes part in it."""

    count = 0

    def decode_round(self):  # type: ignore[no-untyped-def]
        self.count += 1
        if self.count == 5:
            raise DecodeError("The decode failed.")
        return super().decode_round()


def test_a_call_that_fails_fails_for_all_who_waited_for_it() -> None:
    shared = engines()
    shared["target"] = Breaking(ByProblem(SCRIPTS), role="target", max_sequences=32)
    together = Together(shared, 3)
    runs = [run_on(v, p, "target") for p, v in zip(SCRIPTS, together.views, strict=False)]
    outcomes = together.run([lambda run=run: played(run) for run in runs])  # type: ignore[misc]
    assert all(isinstance(outcome, DecodeError) for outcome in outcomes)
    assert shared["target"]._book.seq_ids == ()


def test_a_round_that_fails_fails_for_those_too_who_do_not_wait_for_it() -> None:
    shared = engines()
    shared["draft"] = Breaking(ByProblem(SCRIPTS), role="draft", max_sequences=32)
    together = Together(shared, 2)
    first, second = (views["draft"] for views in together.views)
    prompt = "Problem4<|im_start|>assistant\n"

    def writes(view: Engine) -> None:
        seq_id = view.open(view.tokenize(prompt))
        view.start_steps([StepJob(seq_id, 500, Sampling())])
        while True:
            view.decode_round()

    def reads_first(view: Engine) -> None:
        seq_id = view.open(view.tokenize(prompt))
        view.start_steps([StepJob(seq_id, 500, Sampling())])
        other = view.open(view.tokenize(prompt))
        for _ in range(3):
            view.extend([ExtendJob(seq_id=other, tokens=view.tokenize("more"))])
        while True:
            view.decode_round()

    outcomes = together.run([lambda: writes(first), lambda: reads_first(second)])
    assert all(isinstance(outcome, DecodeError) for outcome in outcomes)


def test_a_cancel_ends_all_runs_with_what_they_have() -> None:
    rounds_left = 8

    def should_stop() -> bool:
        nonlocal rounds_left
        rounds_left -= 1
        return rounds_left < 0

    script = ByProblem(SCRIPTS)
    shared = {
        role: FakeEngine(script, role=role, max_sequences=32, should_stop=should_stop)
        for role in ROLES
    }
    together = Together(shared, 3)
    runs = [run_on(v, p, "target") for p, v in zip(SCRIPTS, together.views, strict=False)]
    outcomes = together.run([lambda run=run: played(run) for run in runs])  # type: ignore[misc]
    assert outcomes == runs
    assert all(run.cancelled for run in runs)
    assert all(path.end_reason == "cancelled" for run in runs for path in run.paths)


def test_an_interrupt_of_the_waiting_thread_ends_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(ByProblem):
        def continuation(self, role: Author, text: str) -> str:
            return "word "

    shared = {role: FakeEngine(Endless(SCRIPTS), role=role, max_sequences=32) for role in ROLES}
    together = Together(shared, 2)
    runs = [run_on(v, p, "target") for p, v in zip(SCRIPTS, together.views, strict=False)]
    join, joined = threading.Thread.join, []

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        joined.append(thread)
        if len(joined) == 1:
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        together.run([lambda run=run: played(run) for run in runs])  # type: ignore[misc]
    assert not any(thread.is_alive() for thread in joined)


def test_room_is_made_for_all_before_any_begins() -> None:
    shared = engines()
    together = Together(shared, 2)

    def work(view: Engine, tokens: int) -> int:
        view.reserve(tokens)
        return view.open(view.tokenize("a b c"))

    first, second = (views["draft"] for views in together.views)
    together.run([lambda: work(first, 100), lambda: work(second, 50)])
    assert ("reserve", 150) in shared["draft"].history


def test_sequences_and_usage_are_each_runs_own() -> None:
    shared = engines()
    together = Together(shared, 2)
    met = threading.Barrier(2)

    def work(view: Engine, text: str) -> tuple[int, int]:
        seq_id = view.open(view.tokenize(text))
        met.wait()
        if text == "Problem0":
            view.clear()
        else:
            assert view.num_tokens(seq_id) == len(view.tokenize(text))
        return view.usage().prefill_tokens, seq_id

    first, second = (views["draft"] for views in together.views)
    one, two = together.run([lambda: work(first, "Problem0"), lambda: work(second, "Problem1 x")])
    assert isinstance(one, tuple)
    assert isinstance(two, tuple)
    assert (one[0], two[0]) == (0, len(shared["draft"].tokenize("Problem1 x")))
    assert one[1] != two[1]


def test_what_was_decoded_ahead_for_a_stopped_sequence_is_forgotten() -> None:
    shared = engines()
    together = Together(shared, 1)
    (views,) = together.views
    view = views["target"]

    def work() -> list[str]:
        one = view.open(view.tokenize("Problem3<|im_start|>assistant\n"))
        two = view.fork(one)
        view.start_steps([StepJob(seq, 50, Sampling()) for seq in (one, two)])
        view.decode_round()
        view.stop_step(one)
        seen = view.decode_round()
        assert {delta.seq_id for delta in seen} == {two}
        view.release(one)
        view.stop_step(two)
        return [d.text for d in decode_steps(view, [StepJob(two, 50, Sampling())])]

    (texts,) = together.run([work])
    assert isinstance(texts, list)
    assert "".join(texts).endswith(".\n\n")


@given(st.lists(st.sampled_from(sorted(SCRIPTS)), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_any_mixture_ends_and_agrees(problems: Sequence[str]) -> None:
    together = Together(engines(), len(problems))
    runs = [run_on(v, p, "specreason") for p, v in zip(problems, together.views, strict=True)]
    together.run([lambda run=run: played(run) for run in runs])  # type: ignore[misc]
    for problem, run in zip(problems, runs, strict=True):
        assert paths_of(run) == paths_of(played(run_on(engines(), problem, "specreason")))

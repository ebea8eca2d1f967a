from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssr_local import Solver
from ssr_local.core import folders
from ssr_local.core.commands import Cancel
from ssr_local.core.errors import (
    Interrupted,
    ModelNotFoundError,
    ProblemError,
    SSRError,
    UsageError,
)
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import RunResult
from ssr_local.method.verification import VERIFIERS
from ssr_local.models.registry import load_registry


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")


@pytest.fixture(params=[False, True], ids=["worker", "in process"])
def solver(request: pytest.FixtureRequest) -> Iterator[Solver]:
    with Solver(pair="demo", in_process=request.param) as one:
        yield one


def test_the_demonstration_shows_rejected_and_rewritten_steps(solver: Solver) -> None:
    result = solver.solve("farm")
    assert (result.num_drafted, result.num_accepted, result.num_rewrites) == (12, 10, 2)
    rejected = [step for path in result.paths for step in path.steps if step.accepted is False]
    assert [step.draft_score for step in rejected if isinstance(step.draft_score, float)] == (
        pytest.approx([2.175, 3.225], abs=0.5)
    )
    assert not any("calibration" in notice for notice in result.notices)
    assert any("demonstration" in notice for notice in result.notices)


def test_models_that_are_expected_come_with_the_first_ones() -> None:
    with Solver(pair="demo") as solver:
        solver.expect(SolveOptions())
        solver.read_steps("Hens?", ["So.\n\n"])
        worker = solver.worker_pid
        solver.solve("Hens?", paths=1)
        assert solver.worker_pid == worker
        solver.expect(SolveOptions())  # changes nothing any more
        assert solver.worker_pid == worker


DEMONSTRATED = [
    *({"method": method, "verifier": one} for method in ("ssr", "specreason") for one in VERIFIERS),
    *(
        {"method": method, "selection": "generate"}
        for method in ("draft", "target", "parallel", "parallel-spm")
    ),
]


@pytest.mark.parametrize("options", DEMONSTRATED)
def test_the_demonstration_of_every_method_and_verifier(options: dict[str, str]) -> None:
    with Solver(pair="demo", in_process=True) as one:
        assert one.solve("farm", **options).answer == "18"


def test_options_and_changes(solver: Solver) -> None:
    result = solver.solve("farm", SolveOptions(paths=1, seed=5), mode="fast1")
    assert len(result.paths) == 1
    assert (result.options["seed"], result.options["mode"]) == (5, "fast1")
    assert (result.options["draft"], result.options["pair"]) == ("demo-draft", "demo")


def test_methods_with_other_models_on_one_solver(solver: Solver) -> None:
    assert solver.solve("farm", method="draft").models.target is None
    pid = solver.worker_pid
    assert solver.solve("farm", method="ssr").models.target is not None
    assert solver.worker_pid != pid or pid is None
    pid = solver.worker_pid
    assert solver.solve("farm", method="target").models.draft is None
    assert solver.worker_pid == pid


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"pair": "dmeo"}, ModelNotFoundError),
        ({"pair": "demo", "draft": "/nowhere/x.gguf"}, ModelNotFoundError),
        ({"context": 5}, UsageError),
        ({"engine": EngineOptions(), "ctx": 5}, UsageError),
        ({"engine": EngineOptions(), "pair": "laptop"}, UsageError),
    ],
)
def test_wrong_options_of_a_solver(options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Solver(**options)


@pytest.mark.parametrize("speed", ["fast", "-1", "nan"])
def test_a_wrong_speed_of_the_demonstration(
    solver: Solver, speed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", speed)
    with pytest.raises(UsageError, match="SSR_LOCAL_DEMO_SPEED"):
        solver.solve("farm")


def test_one_problem_at_a_time(solver: Solver) -> None:
    stream = solver.stream("farm")
    next(stream)
    with pytest.raises(UsageError, match="busy"):
        solver.solve("farm")
    stream.close()  # type: ignore[attr-defined]
    assert solver.solve("farm").answer == "18"


@pytest.mark.parametrize("error", [Interrupted, ModelNotFoundError])
def test_what_ends_a_run_while_models_are_fetched_does_not_reach_the_next_one(
    solver: Solver, error: type[SSRError], monkeypatch: pytest.MonkeyPatch
) -> None:
    solver.solve("farm", method="draft")
    files = solver._model_files

    def ends(roles: Any) -> Any:
        if error is not Interrupted:
            raise error("no network")
        solver.cancel()  # there is no worker yet that could be told
        return files(roles)

    with monkeypatch.context() as patch:
        patch.setattr(solver, "_model_files", ends)
        with pytest.raises(error):
            solver.solve("farm")
    assert solver.solve("farm").answer == "18"


def test_nothing_runs_before_the_first_problem_or_after_close() -> None:
    one = Solver(pair="demo")
    assert one.worker_pid is None
    one.tell(Cancel())
    one.cancel()
    one.kill()
    one.close()
    one.solve("farm")
    pid = one.worker_pid
    assert pid
    one.close()
    one.close()
    assert one.worker_pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert one.solve("farm").answer == "18"
    one.close()


@pytest.mark.parametrize(
    ("problem", "strategies", "kind"), [("x", "mahts", UsageError), (" ", "maths", ProblemError)]
)
def test_what_is_wrong_is_found_before_models_are_fetched(
    problem: str, strategies: str, kind: type[UsageError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("ssr_local.models.download.ensure_model")
    one, options = Solver(), SolveOptions(strategies=strategies)
    with pytest.raises(kind):
        one.stream(problem, options)
    with pytest.raises(kind):
        one.read_steps(problem, ["So.\n\n"], strategies=strategies)
    with pytest.raises(kind):
        one.reply(problem, "Why?", strategies=strategies)
    if kind is UsageError:  # a wrong problem costs only its own run
        with pytest.raises(kind):
            one.solve_together([problem], [options])


def test_what_the_default_pair_still_needs() -> None:
    one = Solver()
    both = one.to_fetch(SolveOptions(method="ssr")).num_bytes
    draft = one.to_fetch(SolveOptions(method="draft")).num_bytes
    target = one.to_fetch(SolveOptions(method="target")).num_bytes
    assert both == draft + target
    assert one.to_fetch(SolveOptions()).num_bytes == target, "its plan needs no draft"
    several = (SolveOptions(method="target"), SolveOptions(method="ssr"))
    assert one.to_fetch(*several).num_bytes == one.to_fetch().num_bytes == both
    assert draft > 1e8


def test_problems_are_solved_together() -> None:
    for in_process in (False, True):
        with Solver(pair="demo", in_process=in_process, at_once=3) as solver:
            options = [SolveOptions(seed=seed) for seed in range(3)]
            results = solver.solve_together(["one farm", "another farm", "a third"], options)
            assert [r.answer for r in results if isinstance(r, RunResult)] == ["18"] * 3
            assert [r.options["seed"] for r in results if isinstance(r, RunResult)] == [0, 1, 2]
            assert solver.solve("farm").answer == "18"
            assert solver.solve_together([], []) == []


def test_too_many_at_once_is_refused_and_a_wrong_problem_costs_only_itself() -> None:
    with Solver(pair="demo", at_once=2) as solver:
        with pytest.raises(UsageError, match="need 48 sequences"):
            solver.solve_together(["farm"] * 12, [SolveOptions()] * 12)
        with pytest.raises(UsageError, match="same models"):
            solver.solve_together(["a", "b"], [SolveOptions(), SolveOptions(method="target")])
        good, bad = solver.solve_together(["farm", "  "], [SolveOptions()] * 2)
        assert isinstance(good, RunResult)
        assert isinstance(bad, ProblemError)
        assert good.answer == "18"


def test_going_on_from_given_steps_and_reading_them(solver: Solver) -> None:
    first = solver.solve("farm", method="target", seed=1)
    steps = [step.text for step in first.paths[0].steps]
    assert len(steps) > 2
    rest = solver.solve("farm", method="target", seed=1, given=steps[:2])
    assert [step.text for step in rest.paths[0].steps] == steps[2:]
    assert (rest.answer, rest.given) == (first.answer, tuple(steps[:2]))
    readings = solver.read_steps("farm", steps)
    assert [reading.text for reading in readings] == steps
    assert solver.read_steps("farm", steps[2:], given=steps[:2]) == readings[2:]
    (only,) = solver.read_steps("farm", steps[:1], questions=[("digit", "rate")])
    assert set(only.probes) == {"digit/rate"}


@pytest.fixture
def copied_pair(tmp_path: Path) -> Iterator[Solver]:
    """A solver whose models are to be fetched from files beside."""
    for role in ("draft", "target"):
        (tmp_path / f"{role}-source.gguf").write_bytes(b"GGUF" + role.encode() * 1000)
    models = "".join(
        f'[models.{role}]\nfile = "{role}.gguf"\n'
        f'sources = [{{ kind = "file", path = "{tmp_path}/{role}-source.gguf" }}]\n'
        for role in ("draft", "target")
    )
    folders.config_dir().mkdir(parents=True)
    (folders.config_dir() / "models.toml").write_text(
        models + '[pairs.copied]\ndraft = "draft"\ntarget = "target"\n'
    )
    with Solver(pair="copied") as one:
        yield one


@pytest.mark.parametrize(
    ("method", "fetched"),
    [("target", {"target.gguf"}), ("ssr", {"draft.gguf", "target.gguf"})],
)
def test_models_are_fetched_without_being_loaded(
    method: str, fetched: set[str], copied_pair: Solver
) -> None:
    options = SolveOptions(method=method)  # type: ignore[arg-type]
    copied_pair.fetch(options)
    assert {path.name for path in folders.models_dir().glob("*.gguf")} == fetched
    assert copied_pair.worker_pid is None
    assert not copied_pair.to_fetch(options)


def test_a_download_that_is_stopped(copied_pair: Solver) -> None:
    copied_pair._on_progress = lambda _: copied_pair.cancel()
    with pytest.raises(Interrupted):
        copied_pair.fetch()
    assert not list(folders.models_dir().glob("*.gguf"))
    copied_pair._on_progress = None
    copied_pair.fetch(SolveOptions(method="ssr"))
    assert len(list(folders.models_dir().glob("*.gguf"))) == 2


def test_the_demonstration_has_nothing_to_fetch(solver: Solver) -> None:
    assert not solver.to_fetch()
    solver.fetch()
    assert solver.worker_pid is None


def test_the_plan_is_chosen_by_effort_and_said() -> None:
    solver = Solver()
    profile = load_registry().pair("default").profile
    assert profile is not None
    for effort in ("quick", "normal", "thorough"):
        options, note = solver._planned(SolveOptions(effort=effort))  # type: ignore[arg-type]
        assert options.plan == getattr(profile, effort)
        assert options.plan in note
        assert effort in note
    assert solver._planned(SolveOptions(method="target")) == (SolveOptions(method="target"), "")
    own = SolveOptions(plan="prose:draft")
    assert solver._planned(own) == (own, "")
    assert "--paths" in solver._planned(SolveOptions(paths=5))[1]

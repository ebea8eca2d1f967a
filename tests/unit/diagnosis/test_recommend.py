from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from ssr_local.diagnosis.candidates import candidate_of
from ssr_local.diagnosis.recommend import Candidate, Machine, ModelFacts, Recommendation, recommend
from ssr_local.engine.speeds import RememberedSpeed
from ssr_local.models.models_file import PairSpec
from ssr_local.models.registry import load_registry
from tests.tiny_gguf import write_tiny_model

GB = 10**9
CELLS = 4000
ORDER = ["paper", "qwen3", "maths", "laptop", "general", "qwen3-small", "maths-small", "default"]


def machine(total: float, free: float, gpu: float = 0, **more: object) -> Machine:
    made = Machine(
        total_bytes=int(total * GB), available_bytes=int(free * GB), gpu_bytes=int(gpu * GB)
    )
    return replace(made, **more)


def measured(name: str, size: float, speed: float, **more: object) -> RememberedSpeed:
    made = RememberedSpeed(
        name=name,
        path=f"/{name}",
        file_bytes=int(size * GB),
        prefill=1,
        decode=((1, speed),),
        on_gpu=False,
        disturbed=False,
        cpu="",
        options="",
    )
    return replace(made, **more)


def on(there: Machine) -> list[Recommendation]:
    """Our own pairs, none of whose files are here."""
    registry = load_registry()
    pairs = [candidate_of(registry, pair) for pair in registry.pairs.values()]
    return list(recommend(there, pairs, CELLS))


def best(found: list[Recommendation]) -> str | None:
    assert sum(one.is_best for one in found) <= 1
    return next((one.pair for one in found if one.is_best), None)


@pytest.mark.parametrize(
    ("there", "fitting", "wanted"),
    [
        (machine(2, 1), 0, None),
        (machine(4, 2.5), 2, "maths-small"),
        (machine(8, 5), 6, "qwen3-small"),
        (machine(16, 11), 7, "qwen3"),
        (machine(16, 11, gpu=8), 8, "qwen3"),
        (machine(32, 28), 8, "qwen3"),  # the largest pair fits, but a CPU reads 20 GB/s or so
        (machine(32, 28, gpu=26), 8, "paper"),
    ],
)
def test_what_fits_from_best_to_lightest(there: Machine, fitting: int, wanted: str | None) -> None:
    found = on(there)
    fit = [one.pair for one in found if one.fits != "no"]
    rest = [one for one in found if one.fits == "no"]
    assert fit == [name for name in ORDER if name in fit]
    assert [one.pair for one in found] == [*fit, *(name for name in ORDER if name not in fit)]
    assert len(fit) == fitting
    assert all(one.reason.startswith("needs ") for one in rest)
    assert best(found) == wanted


def test_memory_is_for_both_files_and_their_caches() -> None:
    found = {one.pair: one for one in on(machine(16, 11))}
    known = load_registry().models
    draft, target = known["qwen2.5-0.5b"], known["qwen2.5-math-1.5b"]
    small = found["maths-small"]
    files = (draft.bytes or 0) + (target.bytes or 0)
    assert small.memory_bytes == files + CELLS * (12288 + 28672)
    assert (small.missing_bytes, small.is_approximate) == (files, False)
    assert (found["maths"].is_approximate, found["maths"].tested) == (True, False)
    assert small.gsm8k is not None
    assert small.gsm8k.percent == 84.8


def test_what_fits_only_without_other_programs_is_said_and_not_preferred() -> None:
    found = on(machine(16, 5))
    assert {one.pair: one.fits for one in found}["qwen3"] == "tight"
    assert best(found) == "qwen3-small"
    assert best(on(machine(8, 1))) == "maths-small"  # the least of what fits only then


def test_what_the_disk_cannot_hold_does_not_fit() -> None:
    found = on(machine(16, 11, disk_bytes=3 * GB))
    assert best(found) == "maths-small"
    assert all("of disk" in one.reason for one in found if one.fits == "no")


def test_speed_is_predicted_by_size_from_what_was_measured() -> None:
    speeds = (measured("a", 1, 20), measured("b", 4, 6), measured("gpu", 5, 90, on_gpu=True))
    found = {one.pair: one for one in on(machine(32, 28, speeds=speeds))}
    assert found["qwen3"].tokens_per_s == pytest.approx(6 * 4 / 5.027783488)
    assert found["qwen3"].measured_with == "b"
    assert found["maths-small"].tokens_per_s == pytest.approx(20 / 0.986048832)
    assert all(one.is_predicted and not one.on_gpu for one in found.values())


def test_a_gpu_that_holds_the_pair_counts_with_its_own_speeds() -> None:
    speeds = (measured("cpu", 1, 20), measured("gpu", 1, 200, on_gpu=True))
    found = {one.pair: one for one in on(machine(16, 11, gpu=8, speeds=speeds))}
    assert found["maths"].on_gpu
    assert found["maths"].tokens_per_s == pytest.approx(200 / 4.68)
    assert not found["paper"].on_gpu
    assert found["paper"].tokens_per_s == pytest.approx(20 / 19.85)
    shared = on(machine(16, 11, shares_gpu=True, speeds=speeds))
    assert all(one.on_gpu for one in shared)


def test_a_slow_pair_is_not_recommended() -> None:
    def recommended(**of_speed: object) -> str | None:
        speeds = (measured("a", 1.5, 6, **of_speed),)
        return best(on(machine(16, 11, speeds=speeds)))

    assert recommended() == "qwen3-small"  # 9 GB a second are 1.8 tokens of 5 GB
    assert recommended(disturbed=True) == "qwen3"  # too low a speed to go by
    assert recommended(decode=((1, 0.1),)) == "default"  # the lightest when all are slow


def candidate(name: str, *models: ModelFacts) -> Candidate:
    return Candidate(pair=PairSpec(name=name, draft="d", target="t"), models=models)


def facts(path: str, size: int | None) -> ModelFacts:
    return ModelFacts(path=path, file_bytes=size, kv_bytes_per_token=0, missing_bytes=0)


def test_the_measured_file_itself_is_no_prediction() -> None:
    speeds = (
        measured("near", 1, 9),
        measured("self", 1, 7),
        measured("self", 1, 1, disturbed=True),
    )
    pair = candidate("own", facts("/d", GB), facts("/self", GB))
    (one,) = recommend(machine(16, 11, speeds=speeds), [pair], CELLS)
    assert (one.tokens_per_s, one.measured_with, one.is_predicted) == (7, "self", False)
    assert not one.is_disturbed


def test_what_is_not_known_is_not_guessed() -> None:
    pair = candidate("own", facts("/d", GB), facts("/t", None))
    (one,) = recommend(machine(16, 11, speeds=(measured("a", 1, 9),)), [pair], CELLS)
    assert (one.fits, one.memory_bytes, one.tokens_per_s) == ("unknown", None, None)
    assert not one.is_best
    silent = recommend(machine(0, 0), [candidate("own", facts("/d", GB), facts("/t", GB))], CELLS)
    assert silent[0].fits == "unknown"


def test_one_file_in_both_roles_is_fetched_once() -> None:
    twice = replace(facts("/m", GB), missing_bytes=GB)
    (one,) = recommend(machine(16, 11), [candidate("own", twice, twice)], CELLS)
    assert (one.missing_bytes, one.memory_bytes) == (GB, 2 * GB)


def test_files_that_are_here_speak_for_themselves(tmp_path: Path) -> None:
    paths = [tmp_path / "draft.gguf", tmp_path / "target.gguf"]
    for path in paths:
        write_tiny_model(path)
    pair = PairSpec(name="tiny", draft=str(paths[0]), target=str(paths[1]))
    known = candidate_of(load_registry(), pair)
    assert [one.path for one in known.models] == [str(path) for path in paths]
    # 2 layers, 2 heads of 16 elements for keys and values each, 2 bytes an element
    assert {one.kv_bytes_per_token for one in known.models} == {2 * 2 * 16 * 2 * 2}
    assert all(one.missing_bytes == 0 and one.parameters for one in known.models)
    paths[1].unlink()
    (gone,) = recommend(machine(16, 11), [candidate_of(load_registry(), pair)], CELLS)
    assert gone.fits == "no"
    assert "target.gguf" in gone.reason

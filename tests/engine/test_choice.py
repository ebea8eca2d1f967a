"""Which engine runs a file, and what is remembered of its self-checks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ssr_local.core import folders
from ssr_local.core.errors import DecodeError, EngineUnavailable
from ssr_local.core.events import AnyEvent, ModelLoaded, ModelLoading, Notice
from ssr_local.core.options import EngineOptions
from ssr_local.engine import choice, remembered
from ssr_local.engine.base import Cancelled, Engine
from ssr_local.engine.choice import EngineChoice
from ssr_local.engine.hardware import Memory
from ssr_local.engine.native import NativeEngine
from ssr_local.engine.packages import FLASH_ATTENTION, TITLES, EngineName, build
from ssr_local.engine.selfcheck import SelfCheckResult
from ssr_local.models.gguf.header import GGUFHeader, read_header
from ssr_local.process.helper import Helper, HelperDied, HelperRaised, HelperTimeout
from ssr_local.transport import setup as transport_setup
from ssr_local.transport.setup import ModelFile, Setup, load_model
from tests.engine.conftest import Tiny
from tests.engine.harness import LIBRARIES, load_plain, needs_ik, needs_llama

SHA = "a" * 64


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What counts as installed when an engine is chosen: both, whatever is here."""
    names = {"llama", "ik"}
    monkeypatch.setattr(choice, "is_installed", lambda name: name in names)
    return names


@pytest.fixture
def header(tiny: Tiny) -> GGUFHeader:
    return read_header(tiny())


def chosen(
    header: GGUFHeader,
    *,
    sha256: str = SHA,
    has_gpu: bool = False,
    obstacle: str | None = "",
    **options: Any,
) -> EngineChoice:
    return choice.choose(
        header, sha256, EngineOptions(**options), has_gpu=has_gpu, obstacle=obstacle
    )


def checked(path: Path, **options: Any) -> SelfCheckResult:
    return choice.run_check("ik", path, SHA, EngineOptions(threads=1), repack=True, **options)


@needs_ik
@pytest.mark.parametrize(
    ("options", "difference", "engine", "unchecked"),
    [
        ({}, None, "ik", True),
        ({}, "", "ik", False),
        ({}, "it lies", "llama", False),
        ({"has_gpu": True}, "", "llama", False),
        ({"has_gpu": True, "gpu_layers": 0}, "", "ik", False),
        ({"engine": "llama"}, "", "llama", False),
        ({"has_gpu": True, "engine": "ik"}, "", "ik", False),
        ({"engine": "ik"}, "it lies", "llama", False),
        ({"repack": "off"}, "", "ik", True),
        ({"sha256": "b" * 64}, "", "ik", True),
    ],
)
def test_which_engine_is_chosen(
    header: GGUFHeader,
    options: dict[str, Any],
    difference: str | None,
    engine: str,
    unchecked: bool,
) -> None:
    if difference is not None:
        remembered.remember_check("ik", SHA, True, difference)
    found = chosen(header, **options)
    assert (found.engine, found.unchecked) == (engine, unchecked)
    assert ("it lies" in found.note) == (difference == "it lies")


def test_without_the_package_llama_runs_and_ik_is_refused(header: GGUFHeader) -> None:
    missing = "ik-llama-cpp-python is not installed"
    assert chosen(header, obstacle=missing).engine == "llama"
    with pytest.raises(EngineUnavailable, match="cannot be used") as error:
        chosen(header, engine="ik", obstacle=missing)
    assert "ik-llama-cpp-python" in error.value.next_step


def test_without_any_package_both_commands_are_named(
    header: GGUFHeader, installed: set[str]
) -> None:
    installed.clear()
    with pytest.raises(EngineUnavailable, match="No engine is installed") as error:
        chosen(header, obstacle=None)
    assert "pip install ik-llama-cpp-python" in error.value.next_step
    assert "pip install llama-cpp-python" in error.value.next_step


@needs_ik
def test_what_ik_cannot_run_asks_for_llama_where_it_is_missing(
    tiny: Tiny, header: GGUFHeader, installed: set[str]
) -> None:
    installed.remove("llama")
    assert chosen(header).engine == "ik"
    assert "only with llama-cpp-python" in chosen(header, gpu_layers=5).note
    with pytest.raises(EngineUnavailable, match="mamba") as error:
        chosen(read_header(tiny(arch="mamba")))
    assert error.value.next_step == "Run: pip install llama-cpp-python."
    failed = SelfCheckResult(difference="it lies")
    with pytest.raises(EngineUnavailable, match="it lies"):
        choice.after_check(chosen(header), failed)
    with pytest.raises(EngineUnavailable, match="not installed"):
        chosen(header, engine="llama")


# The quick check ------------------------------------------------------------


@needs_ik
@pytest.mark.parametrize("difference", ["", "it lies"])
def test_a_quick_check_is_remembered_as_one(header: GGUFHeader, difference: str) -> None:
    before = chosen(header)
    assert (before.unchecked, before.is_suspect) == (True, False)
    with remembered.quick_check_remembered("ik", SHA, before.repack) as settle:
        assert chosen(header).unchecked, "another process may try too"
        assert not chosen(header).is_suspect
        settle(difference)
    after = chosen(header)
    assert (after.engine, after.unchecked) == ("llama" if difference else "ik", False)
    assert ("quick" in after.why) == (not difference)


@needs_ik
def test_a_cache_folder_that_cannot_be_written_to_stops_no_check(
    header: GGUFHeader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with remembered.quick_check_remembered("ik", SHA, True) as settle:
        settle("")
    assert (chosen(header).unchecked, chosen(header).is_suspect) == (True, False)


@needs_ik
def test_a_quick_check_that_was_stopped_leaves_nothing_behind(header: GGUFHeader) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        remembered.quick_check_remembered("ik", SHA, True),
    ):
        raise KeyboardInterrupt
    assert remembered.known_check("ik", SHA, True) is None


@needs_ik
@pytest.mark.skipif(os.name == "nt", reason="needs fork")
def test_a_process_that_died_over_it_makes_the_engine_suspect(header: GGUFHeader) -> None:
    child = os.fork()
    if not child:
        with remembered.quick_check_remembered("ik", SHA, True):
            os._exit(1)
    os.waitpid(child, 0)
    found = chosen(header)
    assert (found.engine, found.unchecked, found.is_suspect) == ("ik", True, True)


def test_a_file_without_a_hash_is_known_by_its_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(b"one")
    first = remembered.identity(file, None)
    assert (
        remembered.identity(file, None) == first != remembered.identity(tmp_path / "b.gguf", None)
    )
    os.utime(file, (1, 1))
    assert remembered.identity(file, None) != first
    assert remembered.identity(file, SHA) == SHA


def test_an_unknown_architecture_stays_with_llama(tiny: Tiny) -> None:
    found = chosen(read_header(tiny(arch="mamba")))
    assert found.engine == "llama"
    assert "mamba" in found.why


@pytest.mark.parametrize("free", [0.5, 2.0])
def test_repacking_follows_the_free_memory(
    header: GGUFHeader, monkeypatch: pytest.MonkeyPatch, free: float
) -> None:
    room = int(header.file_bytes * free)
    monkeypatch.setattr(choice, "memory", lambda: Memory(room, room))
    assert chosen(header, engine="llama").repack == (free > 1)
    assert chosen(header, engine="llama", repack="on").repack


def test_a_damaged_memory_of_checks_is_forgotten() -> None:
    remembered.remember_check("ik", SHA, True, "it lies")
    assert remembered.known_check("ik", SHA, True)
    (folders.cache_dir() / remembered.FILE_NAME).write_text("{half")
    assert remembered.known_check("ik", SHA, True) is None


def test_a_memory_of_checks_from_0_1_0_is_read() -> None:
    remembered.remember_check("ik", SHA, True, "")
    file = folders.cache_dir() / remembered.FILE_NAME
    (key,) = remembered._load()
    file.write_text(f'{{"{key}": {{"difference": "it lies", "at": 1764240000.0}}}}')
    known = remembered.known_check("ik", SHA, True)
    assert known is not None
    assert known.difference == "it lies"


@needs_ik
def test_the_hook_has_checks_of_its_own(
    header: GGUFHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered.remember_check("ik", SHA, True, "")
    assert not chosen(header).unchecked
    monkeypatch.setenv(FLASH_ATTENTION, "1")
    assert chosen(header).unchecked


def test_a_llama_that_failed_is_not_used_in_silence(header: GGUFHeader) -> None:
    remembered.remember_check("llama", SHA, True, "it lies")
    assert "Do not trust its answers" in chosen(header, engine="llama").note


# Checks in a process of their own -------------------------------------------


@needs_ik
def test_the_outcome_is_remembered(tiny: Tiny, header: GGUFHeader) -> None:
    assert checked(tiny()).passed
    found = chosen(header, obstacle=None)
    assert (found.engine, found.unchecked) == ("ik", False)


@needs_ik
def test_a_crash_is_a_failed_check(tiny: Tiny) -> None:
    path = tiny(arch="mamba")
    assert not checked(path).passed
    found = chosen(read_header(path), engine="ik")
    assert found.engine == "llama"
    assert "failed its self-check" in found.note


@needs_ik
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HelperDied("The helper process died.", "Killed by signal 9."), "signal 9"),
        (HelperTimeout("Stopped after 5 s."), "Stopped"),
        (HelperRaised("check failed.", "ModelNotFoundError"), "ModelNotFoundError"),
    ],
)
def test_what_says_nothing_about_the_engine_is_not_remembered(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(choice.Helper, "call", fail)
    result = checked(tiny())
    assert words in result.obstacle
    assert remembered.known_check("ik", SHA, True) is None
    found = choice.after_check(chosen(header), result)
    assert found.engine == "llama"
    assert "could not be checked" in found.note


@needs_ik
def test_a_stopped_check_proves_nothing(tiny: Tiny) -> None:
    assert not checked(tiny(), should_stop=lambda: True).passed
    assert remembered.known_check("ik", SHA, True) is None


@pytest.mark.parametrize("engine", LIBRARIES)
def test_a_file_is_loaded_with_the_engine_that_was_chosen(tiny: Tiny, engine: EngineName) -> None:
    loaded = load_plain(tiny(), engine=engine, gpu_layers=0, notes=("why not",))
    assert loaded.notes == ("why not",)
    assert loaded.info.engine.startswith(TITLES[engine])
    loaded.close()


# While nothing else goes on ---------------------------------------------------


def passed_quickly(*, shipped: bool = False) -> None:
    with remembered.quick_check_remembered("ik", SHA, True, shipped=shipped) as settle:
        settle("")


def proved(path: Path, should_stop: Callable[[], bool] = lambda: False) -> str:
    return choice.prove(path, SHA, EngineOptions(threads=2), None, should_stop)


@needs_ik
def test_the_whole_check_is_done_behind_everything_else(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Watched(Helper):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            asked.append(options["gives_way"])

        def call(self, name: str, argument: Any, **options: Any) -> Any:
            asked.append(argument.config.threads)
            return super().call(name, argument, **options)

    monkeypatch.setattr(choice, "Helper", Watched)
    passed_quickly()
    assert choice.unproven(tiny(), SHA) == (True,)
    assert proved(tiny()) == ""
    assert asked == [True, 1]
    assert choice.unproven(tiny(), SHA) == ()
    assert "passed its self-check" in chosen(header).why


@needs_ik
@pytest.mark.parametrize("llama", ["llama.cpp is used", "pip install llama-cpp-python"])
def test_an_engine_that_fails_the_whole_check_is_used_no_more(
    tiny: Tiny, installed: set[str], llama: str
) -> None:
    path = tiny(arch="mamba")  # which makes it crash
    passed_quickly()
    if "install" in llama:
        installed.remove("llama")
    said = proved(path)
    assert "failed its self-check" in said
    assert llama in said
    known = remembered.known_check("ik", SHA, True)
    assert known is not None
    assert known.difference


@needs_ik
@pytest.mark.parametrize(
    "reason", ["shipped", "no room", "battery", "another process", "stopped", "never met"]
)
def test_no_whole_check_is_done_where(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason != "never met":
        passed_quickly(shipped=reason == "shipped")
    if reason == "no room":
        monkeypatch.setattr(choice, "memory", lambda: Memory(1 << 40, tiny().stat().st_size))
    monkeypatch.setattr(choice, "on_battery", lambda: reason == "battery")
    before = remembered.known_check("ik", SHA, True)
    with contextlib.ExitStack() as held:
        if reason == "another process":
            assert held.enter_context(remembered.claimed("ik", SHA, True))
        assert proved(tiny(), lambda: reason == "stopped") == ""
    assert remembered.known_check("ik", SHA, True) == before


# Verdicts that come with the program -------------------------------------------


@needs_ik
@pytest.mark.parametrize(
    ("checked", "features", "counts"),
    [
        ({"this": ("avx2", "fma")}, ("avx", "avx2", "fma", "f16c"), True),
        ({"this": ("avx2", "fma")}, ("avx", "avx2"), False),
        ({"ik 0.1.4 other": ("avx2",)}, ("avx2",), False),
        ({}, ("avx2",), False),
    ],
)
def test_a_verdict_counts_on_the_same_build_and_instruction_sets(
    monkeypatch: pytest.MonkeyPatch,
    checked: dict[str, tuple[str, ...]],
    features: tuple[str, ...],
    counts: bool,
) -> None:
    monkeypatch.setattr(choice, "cpu_features", lambda: features)
    own = {name.replace("this", build("ik")): needed for name, needed in checked.items()}
    assert choice.has_verdict("ik", own) == counts


@needs_ik
def test_a_quick_check_beside_a_verdict_is_as_good_as_a_whole_one(
    tiny: Tiny, header: GGUFHeader
) -> None:
    _, engine = loaded(tiny(), checked={build("ik"): ()})
    engine.close()
    known = remembered.known_check("ik", SHA, chosen(header).repack)
    assert known is not None
    assert (known.quick, known.lacks_whole) == (True, False)
    assert "a CPU with the same instruction sets" in chosen(header).why


# While a model is loaded ------------------------------------------------------


def loaded(
    path: Path, checked: dict[str, tuple[str, ...]] | None = None, **options: Any
) -> tuple[list[AnyEvent], Engine]:
    setup = Setup(
        models={"target": ModelFile("tiny", str(path), SHA, checked=checked or {})},
        engine=EngineOptions(threads=1, **options),
    )
    loading, events = load_model("target", setup, lambda: False, None), []
    while True:
        try:
            events.append(next(loading))
        except StopIteration as end:
            return events, end.value


@needs_ik
def test_an_engine_proves_itself_in_the_process_that_uses_it(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice.Helper, "call", None)  # nothing is asked of another process
    events, engine = loaded(tiny())
    assert [type(event) for event in events] == [ModelLoading, ModelLoaded]
    assert (engine.info.engine.split()[0], engine.notes) == ("ik_llama.cpp", ())
    engine.close()
    assert "quick" in chosen(header).why


@needs_ik
@needs_llama
def test_one_that_fails_gives_way_to_llama(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_setup, "quick_check", lambda *_: "it lies")
    _, engine = loaded(tiny())
    assert engine.info.engine.split()[0] == "llama.cpp"
    assert "it lies" in engine.notes[0]
    engine.close()
    assert chosen(header).engine == "llama"


@needs_ik
@needs_llama
@pytest.mark.parametrize("name", ["load_chosen", "quick_check"])
def test_one_that_cannot_even_be_tried_gives_way_too(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real, closed = getattr(transport_setup, name), []

    def fail(*arguments: Any) -> Any:
        if name == "load_chosen" and arguments[0].engine == "llama":
            return real(*arguments)
        raise DecodeError("It cannot.", "The fork lacks something.")

    monkeypatch.setattr(transport_setup, name, fail)
    monkeypatch.setattr(NativeEngine, "close", lambda self: closed.append(self.info.engine))
    _, engine = loaded(tiny())
    assert engine.info.engine.split()[0] == "llama.cpp"
    assert "could not be checked: It cannot. The fork lacks something" in engine.notes[0]
    assert chosen(header).unchecked, "nothing is remembered of it"
    assert [one.split()[0] for one in closed] == ["ik_llama.cpp"] * (name == "quick_check")


@needs_ik
def test_a_cancelled_check_leaves_no_model_in_memory(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    def cancel(*_: object) -> str:
        raise Cancelled

    monkeypatch.setattr(transport_setup, "quick_check", cancel)
    monkeypatch.setattr(NativeEngine, "close", lambda self: closed.append(self))
    with pytest.raises(Cancelled):
        loaded(tiny())
    assert len(closed) == 1
    assert (chosen(header).unchecked, chosen(header).is_suspect) == (True, False)


@needs_ik
def test_a_suspect_is_checked_in_a_process_of_its_own_first(
    tiny: Tiny, header: GGUFHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = chosen(header)
    left = remembered.RememberedCheck(difference="", at=0, pending=True)
    remembered._remember("ik", SHA, found.repack, left)
    events, engine = loaded(tiny())
    assert [type(event) for event in events] == [ModelLoading, Notice, ModelLoaded]
    engine.close()
    assert (chosen(header).engine, "quick" in chosen(header).why) == ("ik", False)

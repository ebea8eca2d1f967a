from __future__ import annotations

import pytest

from ssr_local.process.crash import Crash


@pytest.mark.parametrize(
    ("code", "words", "illegal", "killed"),
    [
        (3, "exit code 3.", False, False),
        (None, "exit code None.", False, False),
        (-6, "killed by signal 6.", False, False),
        (-9, "killed by signal 9, perhaps because the memory ran out.", False, True),
        (-4, "killed by signal 4: it used an instruction that this CPU", True, False),
        (0xC000001D, "exit code 3221225501: it used an instruction", True, False),
    ],
)
def test_an_exit_code_in_words(code: int | None, words: str, illegal: bool, killed: bool) -> None:
    crash = Crash(code)
    assert words in crash.reason
    assert (crash.is_illegal_instruction, crash.is_kill) == (illegal, killed)


@pytest.mark.parametrize(
    "line",
    ["CUDA error: out of memory", "vk::Queue::submit: ErrorOutOfDeviceMemory"],
)
def test_a_gpu_without_memory_is_named_with_what_helps(line: str) -> None:
    error = Crash(-6, (line, "in function ggml_cuda")).error("It has ended.", "Try again.")
    assert "the GPU's memory ran out" in error.why
    assert "smaller --gpu-layers" in error.next_step
    assert "Try again." in error.next_step
    assert "gpu" not in Crash(-6, ("ggml: failed",)).error("", "Try again.").next_step
    assert "perhaps because the memory ran out" in Crash(-9, (line,)).reason
    assert "this CPU does not have" in Crash(-4, (line,)).reason
    assert "gpu" not in Crash(-11, (line,)).error("", "Try again.").next_step


def test_an_error_shows_the_last_of_the_lines_it_keeps() -> None:
    error = Crash(1, tuple("abcd")).error("It has ended.", "Try again.")
    assert error.why == "It ended with exit code 1. Its last words: b / c / d"
    assert error.log_tail == tuple("abcd")
    assert len(Crash(1, ("x" * 9999,)).error("", "", "It hung.").why) == 1500

"""How a child process ended, in words."""

from __future__ import annotations

from msgspec import Struct

from ssr_local.core.errors import EngineCrashed

_ILLEGAL_INSTRUCTION = (-4, 0xC000001D)  # SIGILL, and what Windows calls it
_KILLED = -9
_ABORTED = (-6, 3)  # SIGABRT, and how Windows' abort() exits
# CUDA and HIP, Vulkan, Metal. A model that is refused for it says so too, and goes on without.
_GPU_MEMORY = ("cuda error: out of memory", "outofdevicememory", "insufficient memory")
_LINES_SHOWN = 3
_WHY_CHARS = 1500


class Crash(Struct, frozen=True):
    """The end of a process: its exit code, None when it cannot be known, and its last lines.

    As ``subprocess`` counts: a negative code is the number of a signal.
    """

    code: int | None
    log_tail: tuple[str, ...] = ()

    @property
    def is_illegal_instruction(self) -> bool:
        """Whether the program was built for another CPU."""
        return self.code in _ILLEGAL_INSTRUCTION

    @property
    def is_kill(self) -> bool:
        """Whether somebody killed it: perhaps the system, because the memory ran out."""
        return self.code == _KILLED

    @property
    def is_gpu_memory(self) -> bool:
        """Whether ggml gave up because a GPU had no memory left."""
        text = " ".join(self.log_tail).lower()
        return self.code in _ABORTED and any(words in text for words in _GPU_MEMORY)

    @property
    def reason(self) -> str:
        """The exit code in a sentence."""
        words = f"It ended with exit code {self.code}"
        if self.code is not None and self.code < 0:
            words = f"It was killed by signal {-self.code}"
        if self.is_illegal_instruction:
            return f"{words}: it used an instruction that this CPU does not have."
        if self.is_gpu_memory:
            return f"{words}: the GPU's memory ran out."
        return f"{words}, perhaps because the memory ran out." if self.is_kill else f"{words}."

    def error(self, what: str, next_step: str, why: str = "") -> EngineCrashed:
        """The error that says so. ``why`` is what is known better than by the exit code."""
        why = why or self.reason
        if self.is_gpu_memory:
            room = "Close other programs that use the GPU, or give a smaller --gpu-layers."
            next_step = f"{room} {next_step}"
        if self.log_tail:
            why += f" Its last words: {' / '.join(self.log_tail[-_LINES_SHOWN:])}"
        return EngineCrashed(what, why[:_WHY_CHARS], next_step, log_tail=self.log_tail)

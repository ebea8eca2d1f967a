"""Every error this package raises on purpose, in one tree.

::

    SSRError                     1   ran, and the outcome is a failure
    |-- UsageError               2   wrong usage
    |   |-- ProblemError         2   the problem text cannot be used
    |   |-- ConfigError          2   a configuration or TOML file is wrong
    |   `-- EventLogError        2   an event log cannot be read
    |-- ModelError               3   model missing, damaged or unusable
    |   |-- ModelNotFoundError   3   no such model, or its file is not there
    |   |-- ModelDamagedError    3   wrong hash, truncated, not a GGUF file
    |   |-- DownloadError        3   it could not be fetched
    |   `-- ModelUnusableError   3   llama.cpp cannot load or run it
    |-- EngineError              4   the engine failed
    |   |-- EngineCrashed        4   the worker process died
    |   |-- EngineUnavailable    4   an engine is not installed, or not as we know it
    |   |-- DecodeError          4   llama.cpp reported a failed decode
    |   `-- HelperError          4   the killable helper process failed
    |-- HistoryError             1   the history cannot be used
    `-- Interrupted              130 the user stopped it

The number is the exit code the command line ends with; it is owned by the class,
and the command line is the only place that reads it.
"""

from __future__ import annotations

from typing import ClassVar


class SSRError(Exception):
    """An error with a name for the thing, a reason, and a next step.

    ``str(error)`` has at most three lines, one for each of them that was given.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, why: str = "", next_step: str = "") -> None:
        super().__init__(what, why, next_step)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        parts = (self.what, self.why, self.next_step)
        return "\n".join(" ".join(part.split()) for part in parts if part)


class UsageError(SSRError):
    """The command or call was wrong: an unknown option value, a missing argument."""

    exit_code = 2


class ProblemError(UsageError):
    """The problem text cannot be used: empty, too long, not valid text."""


class ConfigError(UsageError):
    """A configuration, models or strategies file is wrong; names the file and the key."""


class EventLogError(UsageError):
    """An event log cannot be read; names the line."""


class HistoryError(SSRError):
    """The history of what was done cannot be read or written, or has no such entry."""


class ModelError(SSRError):
    """A model is missing, damaged or unusable."""

    exit_code = 3


class ModelNotFoundError(ModelError):
    """No model of that name is known, or its file is not on this machine."""


class ModelDamagedError(ModelError):
    """The file is not what it should be: wrong hash, cut short, not a GGUF file."""


class DownloadError(ModelError):
    """A model could not be fetched; what was fetched so far is kept."""


class ModelUnusableError(ModelError):
    """llama.cpp cannot load this file or run this model."""


class EngineError(SSRError):
    """The inference engine failed while working."""

    exit_code = 4


class EngineCrashed(EngineError):  # noqa: N818 - the name the documentation promises
    """The worker process died or stopped answering.

    ``log_tail`` holds the last lines it wrote, oldest first.
    """

    def __init__(self, *parts: str, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(*parts)
        self.log_tail = log_tail


class EngineUnavailable(EngineError):  # noqa: N818 - a state, reported as such
    """An engine is not installed, or not as this program knows it."""


class DecodeError(EngineError):
    """llama.cpp reported that a decode call failed."""


class HelperError(EngineError):
    """The killable helper process could not be started or broke its protocol."""


class Interrupted(SSRError):  # noqa: N818 - not an error of the program
    """The user stopped the work."""

    exit_code = 130

"""What no test shares with another, nor with the user: folders, variables, spinning threads."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ssr_local.models import elsewhere

# Threads that wait in busy loops would take the core of the process beside this one. Read
# when the engine's library is loaded, and inherited by every child process.
PASSIVE_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}

# A shell starts its background jobs with SIGINT ignored, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about what else runs on the machine.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

FOLDERS = ("DATA", "CACHE", "CONFIG")
SWITCHES = {"SSR_LOCAL_ACCEPT_SNAPSHOTS", "SSR_LOCAL_WRITE_GOLDEN"}  # the tests' own
_numbers = itertools.count()


def _folders_below(folder: Path) -> dict[str, str]:
    return {f"SSR_LOCAL_{name}_DIR": str(folder / name.lower()) for name in FOLDERS}


def pytest_configure(config: pytest.Config) -> None:
    if "model" in config.getoption("markexpr").replace("not model", ""):
        return  # the real models lie in the user's own folders, and run one at a time
    for name, value in PASSIVE_THREADS.items():
        os.environ.setdefault(name, value)
    for name in set(os.environ) - SWITCHES:
        if name.startswith(("SSR_LOCAL_", "HF_")):
            del os.environ[name]
    folder = tempfile.TemporaryDirectory(prefix="ssr-local-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    # For what is loaded while tests are collected, and for fixtures of more than one test.
    os.environ |= _folders_below(Path(folder.name)) | {
        name: f"{folder.name}/{name}" for name in ("HF_HOME", "LLAMA_CACHE", "OLLAMA_MODELS")
    }


@pytest.fixture(autouse=True)
def folders_of_its_own(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The program's folders lie where no other test looks; they are made when first used."""
    if request.node.get_closest_marker("model"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        own = tmp_path_factory.getbasetemp() / f"folders-{next(_numbers)}"
        patch.setattr(elsewhere, "OLLAMA_SERVICE", own / "ollama")
        patch.setattr(elsewhere, "LM_STUDIO", (own / "lm-studio",))
        for name, value in _folders_below(own).items():
            patch.setenv(name, value)
        yield

"""What importing the package costs and offers, seen from fresh interpreters."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import ssr_local

ROOT = Path(__file__).parents[2]
HEAVY = {"llama_cpp", "textual", "sympy", "numpy", "jinja2", "huggingface_hub", "rich", "tomlkit"}


def python(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    return {name.partition(".")[0] for name in json.loads(python("-c", code).splitlines()[-1])}


@pytest.mark.parametrize(
    "statement",
    [
        "import ssr_local",
        "from ssr_local import Solver, SolveOptions, read_events",
        "import ssr_local.cli",
        "import ssr_local.cli.solve, ssr_local.cli.replay, ssr_local.method.pools",
        "import ssr_local.cli.doctor, ssr_local.cli.models, ssr_local.cli.config",
        "from ssr_local import Solver; Solver(pair='demo')",
        "from ssr_local.answers.compare import compare; compare('x', '5', helper=None)",
    ],
)
def test_nothing_heavy_is_imported(statement: str) -> None:
    assert loaded_by(statement) & HEAVY == set()


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import ssr_local, sys; print([m for m in sys.modules if m.startswith('ssr_local.')])"
    assert python("-c", code).strip() == "['ssr_local.version']"


def test_every_exported_name_can_be_imported() -> None:
    code = "import ssr_local\nfor n in ssr_local.__all__: getattr(ssr_local, n)\n"
    code += "from ssr_local import *\nprint(Solver.__name__, set(ssr_local.__all__) <= set(dir()))"
    assert python("-c", code).strip() == "Solver True"


def test_the_exported_names() -> None:
    assert ssr_local.__all__ == sorted(ssr_local.__all__)
    assert dir(ssr_local) == ssr_local.__all__
    assert set(ssr_local.__all__) - {"__version__"} == set(ssr_local._HOME_OF)
    assert set(ssr_local.__all__) >= {
        "Solver",
        "check",
        "hint",
        "RunResult",
        "SSRError",
        "AnyEvent",
    }
    assert not hasattr(ssr_local, "nonsense")


def cpu_s(*arguments: str) -> float:
    """The least CPU time that it takes: what else runs on the machine does not count."""
    times = []
    for _ in range(3):
        started = resource.getrusage(resource.RUSAGE_CHILDREN)
        python(*arguments)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime)
    return min(times)


def test_importing_costs_next_to_nothing_and_help_appears_at_once() -> None:
    interpreter = cpu_s("-c", "pass")
    assert cpu_s("-c", "import ssr_local") - interpreter < 0.2
    assert cpu_s("-m", "ssr_local", "--help") < 0.6

"""What the terminal app costs: from event to screen, and what the models lose to it.

The app runs on a pseudo-terminal, its output read and thrown away.

    python benchmarks/app.py smooth [--seconds 60]
    python benchmarks/app.py throughput [--rounds 3] [--pair default] [--method ssr]

``smooth`` feeds the app what 12 paths of 60 steps of 100 tokens make at 500 tokens a second,
from a scripted engine in another process, and reports how long an event takes from its
arrival to the end of the drawing that shows it; BENCH_PATHS, BENCH_TOKENS_PER_S and
BENCH_DEVICE (cpu: drawn more rarely) change that. ``throughput`` alternates runs of one
problem and seed with the app and without, and reports the ratio of their speeds.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssr_local import Solver
from ssr_local.core.config import load_settings
from ssr_local.core.events import (
    AnyEvent,
    ModelLoaded,
    PathEnded,
    PathOpened,
    RunStarted,
    StepDelta,
    StepDrafted,
    StepVerified,
    decode_event,
    encode_event,
)
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import ModelInfo, ModelRole, Models, Strategy, Verdict

PROBLEM = (
    "A bakery sells 24 loaves in the morning and twice as many in the afternoon. Each loaf"
    " costs 3 dollars. Of the money, a quarter pays for flour. How much is left?"
)
DEVICE = os.environ.get("BENCH_DEVICE", "cuda")
NUM_PATHS = int(os.environ.get("BENCH_PATHS", "12"))
NUM_STEPS, NUM_TOKENS = 60, 100
TOKENS_PER_S = float(os.environ.get("BENCH_TOKENS_PER_S", "500"))
WORDS = [
    "the",
    "sum",
    "of",
    "both",
    "is",
    "then",
    "$\\frac{12}{5}",
    "+",
    "3x^2",
    "=",
    "17$",
    "so",
    "we",
    "go",
    "on",
    "with",
    "it",
]


# Smoothness ------------------------------------------------------------------------


def scripted() -> Iterator[AnyEvent]:
    """All the events of such a run, in rounds of one token a path."""
    pool = tuple(Strategy(chr(65 + n), f"strategy {n}", "advice") for n in range(NUM_PATHS))
    options: dict[str, str | int | float | bool | None] = {"method": "ssr", "paths": NUM_PATHS}
    roles: tuple[ModelRole, ModelRole] = ("draft", "target")
    for role in roles:
        yield ModelLoaded(role=role, info=model(role), elapsed_s=1.0)
    yield RunStarted(problem=PROBLEM, options=options, models=Models(), pool=pool, version="0")
    for path in range(NUM_PATHS):
        yield PathOpened(path=path, strategy=pool[path], selection_score=0.1)
    for step in range(NUM_STEPS):
        texts = [""] * NUM_PATHS
        for token in range(NUM_TOKENS):
            for path in range(NUM_PATHS):
                word = WORDS[(token + path) % len(WORDS)] + " "
                texts[path] += word
                yield StepDelta(path=path, step=step, author="draft", text=word)
        for path in range(NUM_PATHS):
            yield StepDrafted(
                path=path, step=step, author="draft", text=texts[path], num_tokens=NUM_TOKENS
            )
            verdict = Verdict(score=7.0 + path / 6, accepted=True, verifier="likelihood")
            yield StepVerified(path=path, step=step, verdict=verdict)
    for path in range(NUM_PATHS):
        yield PathEnded(path=path, reason="token_budget", answer=None, mean_score=8.0)


def model(name: str) -> ModelInfo:
    """A model that runs on ``DEVICE``: the app draws less often where that is the processor."""
    return ModelInfo(
        name=name,
        file=f"{name}.gguf",
        sha256=None,
        num_parameters=10**9,
        num_vocab=150_000,
        num_ctx=8192,
        device=DEVICE,
    )


def emit(seconds: float) -> None:
    """Write the events to standard output at their speed."""
    started, tokens = time.monotonic(), 0
    for event in scripted():
        if isinstance(event, StepDelta):
            tokens += 1
            if tokens % NUM_PATHS == 1:
                ahead = tokens / TOKENS_PER_S - (time.monotonic() - started)
                sys.stdout.buffer.flush()
                time.sleep(max(0.0, ahead))
        if time.monotonic() - started > seconds:
            break
        sys.stdout.buffer.write(encode_event(event) + b"\n")
    sys.stdout.buffer.flush()


def smooth_child(seconds: float, report: Path) -> None:
    """The app on this terminal, fed by another process; its latencies go to ``report``."""
    from ssr_local_tui.app import SSRApp
    from ssr_local_tui.feed import Feed
    from ssr_local_tui.preferences import Preferences

    arrived: deque[float] = deque()
    latencies: list[float] = []
    started: list[float] = []
    spent: list[float] = []

    def source() -> Iterator[AnyEvent]:
        command = [sys.executable, __file__, "emit", "--seconds", str(seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for line in process.stdout:
                arrived.append(time.monotonic())
                yield decode_event(line)

    class Timed(Feed):
        def drain(self) -> list[AnyEvent]:
            events = super().drain()
            times = [arrived.popleft() for _ in events]
            if times:
                app.call_after_refresh(self.shown, times)
            return events

        def shown(self, times: list[float]) -> None:
            now = time.monotonic()
            latencies.extend(now - one for one in times)

    class App(SSRApp):
        def on_mount(self) -> None:
            # Textual calls the base class's own on_mount too.
            self.call_after_refresh(self.begin)

        def begin(self) -> None:
            started.append(time.process_time())
            feed = Timed(source)
            self.control.watch(feed)
            feed.start()
            self.set_interval(0.2, self.look)

        def look(self) -> None:
            if not self.control.running:
                spent.append(time.process_time())
                self.exit()

    app = App(load_settings({"pair": "demo"}), Preferences(welcomed=True))
    app.run()
    ordered = sorted(latencies)
    report.write_text(
        json.dumps(
            {
                "events": len(ordered),
                "event_to_screen_ms": {
                    name: round(1000 * ordered[int(share * (len(ordered) - 1))], 1)
                    for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
                },
                "app_cpu_share": round((spent[0] - started[0]) / seconds, 3) if spent else None,
            }
        )
    )


# Throughput ------------------------------------------------------------------------


def throughput_child(options: dict[str, Any], report: Path) -> None:
    """One run in the app on this terminal; its result goes to ``report``."""
    import msgspec

    from ssr_local_tui.app import SSRApp
    from ssr_local_tui.preferences import Preferences

    class App(SSRApp):
        def on_mount(self) -> None:
            self.set_interval(0.2, self.look)

        def look(self) -> None:
            result = self.control.tree.result
            if result is not None:
                report.write_bytes(msgspec.json.encode(result))
                self.exit()

    App(load_settings(options), Preferences(welcomed=True), problem=PROBLEM).run()


def without_app(options: dict[str, Any]) -> float:
    """Seconds of the same run without the app."""
    settings = load_settings(options)
    with Solver(engine=settings.engine) as solver:
        result = solver.solve(PROBLEM, settings.solve)
    return result.timing_s.total


def with_app(options: dict[str, Any]) -> float:
    """Seconds of one run in the app."""
    result = on_terminal("throughput-child", "--options", json.dumps(options))
    assert isinstance(result, dict)
    seconds: float = result["timing_s"]["total"]
    return seconds


def on_terminal(*arguments: str) -> Any:
    """What a child on a terminal of 120 x 40 reports."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, __file__, *arguments, "--report", str(report)]
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ |= {"COLUMNS": "120", "LINES": "40", "TERM": "xterm-256color"}
            os.environ |= {"SSR_LOCAL_CONFIG_DIR": folder}
            os.execv(command[0], command)
        seen = bytearray()
        reader = threading.Thread(target=_read_away, args=(terminal, seen), daemon=True)
        reader.start()
        os.waitpid(pid, 0)
        if not report.exists():
            raise SystemExit(bytes(seen[-2000:]).decode(errors="replace"))
        return json.loads(report.read_bytes())


def _read_away(terminal: int, seen: bytearray) -> None:
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            return
        if not piece:
            return
        seen += piece
        del seen[:-4000]


def throughput(rounds: int, pair: str, method: str) -> dict[str, Any]:
    """Alternating runs; the ratio of speeds, app over none, one a round."""
    options = {"pair": pair, "method": method, "seed": 7, "max_tokens": 300}
    SolveOptions(method=options["method"])  # type: ignore[arg-type]
    without_app(options)  # the files into the system's cache
    seconds: dict[str, list[float]] = {"app": [], "none": []}
    for number in range(rounds):
        pairs = (("app", with_app), ("none", without_app))
        for name, run in pairs if number % 2 else pairs[::-1]:
            seconds[name].append(run(options))
            print(f"round {number + 1}, {name}: {seconds[name][-1]:.2f} s", file=sys.stderr)
    ratios = [none / app for none, app in zip(seconds["none"], seconds["app"], strict=True)]
    return {
        "seconds": seconds,
        "speed_with_app_over_without": [round(ratio, 3) for ratio in ratios],
        "median": round(statistics.median(ratios), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "what", choices=["smooth", "throughput", "emit", "smooth-child", "throughput-child"]
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pair", default="default")
    parser.add_argument("--method", default="ssr")
    parser.add_argument("--options", default="{}")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    if given.what == "emit":
        emit(given.seconds)
    elif given.what == "smooth-child":
        smooth_child(given.seconds, given.report)
    elif given.what == "throughput-child":
        throughput_child(json.loads(given.options), given.report)
    elif given.what == "smooth":
        print(json.dumps(on_terminal("smooth-child", "--seconds", str(given.seconds)), indent=2))
    else:
        print(json.dumps(throughput(given.rounds, given.pair, given.method), indent=2))


if __name__ == "__main__":
    main()

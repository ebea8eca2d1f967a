"""What other programs cost: an engine beside one busy program, and two of them at once.

Three paths of 60 tokens by one model, in a process of its own: with nothing beside it, beside
one program that never waits, and two such processes at the same time. Threads are chosen as in
a run ("auto"), or fixed. Conditions alternate within one run; the table has medians in seconds,
and what they are beside the quiet time of all threads. The text must be the same everywhere.

    python benchmarks/busy.py [--model NAME] [--engine ik,llama] [--threads auto,2,1] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from ssr_local.engine.base import EngineConfig, Sampling, StepJob
from ssr_local.engine.hardware import physical_cores
from ssr_local.engine.loading import load_engine
from ssr_local.engine.native import NativeEngine
from ssr_local.models.download import ensure_model
from ssr_local.models.registry import load_registry

PROMPT = "A school buys 14 boxes of pencils with 12 pencils each. Explain every step in detail."
NUM_PATHS, NUM_TOKENS = 3, 60
CONDITIONS = ("quiet", "busy", "two at once")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--engine", default="ik,llama")
    parser.add_argument("--threads", default=f"auto,{physical_cores()},1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fixed-busy", action="store_true", help="also fixed ones beside others")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked.model, *asked.work)
        return
    engines, threads = asked.engine.split(","), asked.threads.split(",")
    taken: dict[tuple[str, str, str], list[float]] = {}
    texts: dict[str, set[str]] = {engine: set() for engine in engines}
    for _ in range(asked.repeats):
        for engine, number in itertools.product(engines, threads):
            for condition in CONDITIONS:
                if condition != "quiet" and number != "auto" and not asked.fixed_busy:
                    continue
                found = measured(asked.model, engine, number, condition)
                seconds = max(one["seconds"] for one in found)
                taken.setdefault((engine, number, condition), []).append(seconds)
                texts[engine] |= {one["text"] for one in found}
                print(engine, number, condition, found, file=sys.stderr)
    medians = {key: statistics.median(seconds) for key, seconds in taken.items()}
    if asked.json:
        rows = [dict(zip(("engine", "threads", "condition"), key, strict=True)) | {"seconds": s}
                for key, s in medians.items()]  # fmt: skip
        print(json.dumps({"medians": rows, "texts": {e: len(t) for e, t in texts.items()}}))
        return
    for (engine, number, condition), seconds in medians.items():
        quiet = medians.get((engine, str(physical_cores()), "quiet"), seconds)
        times = f"{seconds / quiet:.2f} x"
        print(f"{engine:6} {number:>5} threads  {condition:12} {seconds:6.1f} s  {times}")
    for engine, found_texts in texts.items():
        print(f"{engine}: {len(found_texts)} different text(s)")
    if any(len(found_texts) > 1 for found_texts in texts.values()):
        raise SystemExit("The text depends on the threads.")


def measured(model: str, engine: str, threads: str, condition: str) -> list[dict[str, Any]]:
    """What each process says of its run: ``seconds``, a hash of its ``text``, ``threads``."""
    command = [sys.executable, __file__, "--model", model, "--work", engine, threads]
    with contextlib.ExitStack() as held:
        if condition == "busy":
            held.enter_context(busy_program())
        workers = [
            held.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2 if condition == "two at once" else 1)
        ]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return [json.loads(worker.communicate()[0]) for worker in workers]


@contextlib.contextmanager
def busy_program() -> Iterator[None]:
    """A program that keeps one core busy, and has begun to."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(1)
        yield
    finally:
        process.kill()
        process.wait()


def work(model: str, engine_name: str, threads: str) -> None:
    """Load, say so, wait for a line, and run."""
    spec = load_registry().model(model)
    config = EngineConfig(
        engine="llama" if engine_name == "llama" else "ik",
        path=str(ensure_model(spec)),
        name=model,
        threads=0 if threads == "auto" else int(threads),
        num_cells=1024,
    )
    engine = load_engine(config)
    decoded(engine, 2)
    engine.clear()
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    text, used = decoded(engine, NUM_TOKENS)
    seconds = time.perf_counter() - started
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    print(json.dumps({"seconds": seconds, "text": digest, "threads": used}), flush=True)


def decoded(engine: NativeEngine, num_tokens: int) -> tuple[str, dict[int, int]]:
    """What the paths write, and how many calls were made with how many threads."""
    first = engine.open(engine.tokenize(PROMPT))
    paths = [first, *(engine.fork(first) for _ in range(NUM_PATHS - 1))]
    written = dict.fromkeys(paths, "")
    used: dict[int, int] = {}
    for _ in range(num_tokens):
        running = [path for path in paths if path in engine._running]
        jobs = [
            StepJob(path, num_tokens, Sampling(temperature=0.6, seed=path))
            for path in paths
            if path not in running
        ]
        engine.start_steps(jobs)
        for delta in engine.decode_round():
            written[delta.seq_id] += delta.text
        used[engine.num_threads] = used.get(engine.num_threads, 0) + 1
    return "\n".join(written.values()), used


if __name__ == "__main__":
    main()

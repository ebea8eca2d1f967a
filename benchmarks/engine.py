"""What our engine loop costs over the bare C calls, and what batching brings.

Alternates, in one run and on one context, between our engine and ``llama_decode`` called
with the same batch and nothing else; then five paths at once against five calls of
``Llama.create_completion``, one after another, with the same prompts and token counts.

    python benchmarks/engine.py [--model NAME] [--engine llama|ik] [--json]
    python benchmarks/engine.py --compare llama,ik [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import llama_cpp

from ssr_local.coordinator.prompter import Prompter, shared_prefix
from ssr_local.engine.base import EngineConfig, ExtendJob, Sampling, StepJob
from ssr_local.engine.binding import BatchRow, GGUFBinding
from ssr_local.engine.loading import load_engine
from ssr_local.engine.native import NativeEngine
from ssr_local.engine.packages import EngineName
from ssr_local.method.pools import load_pool
from ssr_local.models.download import ensure_model
from ssr_local.models.registry import load_registry
from ssr_local.process.helper import Helper

Table = dict[str, dict[str, float]]
"""Engine -> what was timed -> tokens per second."""

PROBLEM = (
    "A school buys 14 boxes of pencils with 12 pencils each and 9 boxes with 20 pencils each."
    " It hands the pencils to 6 classes equally. How many pencils does each class get, and how"
    " many are left over? Explain every step in detail."
)
SAMPLING = Sampling(temperature=0.6, top_p=0.95, seed=1)


def timed(work: Callable[[], Any]) -> float:
    """Seconds the call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare_decode(binding: GGUFBinding, rows: Sequence[BatchRow]) -> float:
    """Seconds of the library's ``llama_decode`` alone on a batch that is already filled in."""
    binding.fill(rows)
    binding.set_interruptible(False)

    def call() -> None:
        if binding._lib.llama_decode(binding._context, binding._batch) != 0:
            raise SystemExit("llama_decode failed")
        binding._lib.llama_synchronize(binding._context)

    return timed(call)


def forget(binding: GGUFBinding, cells: Iterable[tuple[int, int]]) -> None:
    """Remove sequences' cells from a position on; ik closes the gaps now, before a clock runs."""
    for seq_id, start in cells:
        binding.remove_cells(seq_id, start)
    binding.fill(())


def decode_ratio(engine: NativeEngine, prompt: Sequence[int], count: int, rounds: int) -> float:
    """Bare seconds / our seconds for one decode round on ``count`` sequences (medians)."""
    binding = engine._binding
    root = engine.open(prompt)
    paths = [engine.fork(root) for _ in range(count)]
    ours, bare = [], []
    for round_number in range(rounds + 2):
        missing = [seq for seq in paths if seq not in engine._running]
        engine.start_steps([StepJob(seq, 10_000, SAMPLING) for seq in missing])
        rows = [
            BatchRow(engine.tokens(seq)[-1], engine.num_tokens(seq) - 1, seq, logits=True)
            for seq in paths
        ]
        written = [(row.seq_id, row.position) for row in rows]
        first = timed(engine.decode_round) if round_number % 2 else None
        if first is not None:  # what ours wrote has to go before the bare call writes it again
            forget(binding, written)
        second = bare_decode(binding, rows)
        forget(binding, written)
        if first is not None:
            # Put ours back, so that the cells it counted are there again.
            bare_decode(binding, rows)
        else:
            first = timed(engine.decode_round)
        if round_number >= 2:
            ours.append(first)
            bare.append(second)
    engine.clear()
    return statistics.median(bare) / statistics.median(ours)


def prefill_ratio(engine: NativeEngine, prompt: Sequence[int], count: int, repeats: int) -> float:
    """Bare seconds / our seconds for a prefill of 64 tokens on ``count`` sequences (medians)."""
    binding = engine._binding
    root = engine.open(prompt[:32])
    paths = [engine.fork(root) for _ in range(count)]
    tokens = list(prompt[32:96])
    start = engine.num_tokens(root) - 1
    rows = [
        BatchRow(token, start + offset, seq)
        for seq in paths
        for offset, token in enumerate([engine.tokens(seq)[-1], *tokens[:-1]])
    ]
    chunks = [rows[i : i + binding.num_chunk] for i in range(0, len(rows), binding.num_chunk)]

    def run_ours() -> float:
        spent = timed(lambda: engine.extend([ExtendJob(seq_id=s, tokens=tokens) for s in paths]))
        for seq in paths:
            engine.truncate(seq, start + 1)
        forget(binding, ())
        return spent

    def run_bare() -> float:
        spent = sum(bare_decode(binding, chunk) for chunk in chunks)
        forget(binding, [(seq, start) for seq in paths])
        return spent

    ours, bare = [], []
    for number in range(repeats + 1):
        pair = (run_ours, run_bare) if number % 2 else (run_bare, run_ours)
        spent = {work: work() for work in pair}
        if number:
            ours.append(spent[run_ours])
            bare.append(spent[run_bare])
    engine.clear()
    return statistics.median(bare) / statistics.median(ours)


def paths_at_once(
    engine: NativeEngine, prompts: Sequence[Sequence[int]], counts: Sequence[int]
) -> float:
    """Seconds for all prompts together, each decoded to its count of tokens."""

    def work() -> None:
        shared = shared_prefix(prompts)
        root = engine.open(prompts[0][:shared])
        paths = [engine.fork(root) for _ in prompts]
        engine.extend(
            [
                ExtendJob(seq_id=seq, tokens=prompt[shared:])
                for seq, prompt in zip(paths, prompts, strict=True)
            ]
        )
        left = dict(zip(paths, counts, strict=True))
        while left:
            idle = [seq for seq in left if seq not in engine._running]
            engine.start_steps([StepJob(seq, left[seq], SAMPLING) for seq in idle])
            for delta in engine.decode_round():
                left[delta.seq_id] -= delta.num_tokens
                if left[delta.seq_id] <= 0:
                    del left[delta.seq_id]

    spent = timed(work)
    engine.clear()
    return spent


def one_after_another(
    llama: Any, prompts: Sequence[Sequence[int]], num_tokens: int
) -> tuple[float, list[int]]:
    """Seconds and tokens of five ``create_completion`` calls."""
    counts: list[int] = []

    def work() -> None:
        for prompt in prompts:
            answer = llama.create_completion(
                list(prompt),
                max_tokens=num_tokens,
                temperature=SAMPLING.temperature,
                top_p=SAMPLING.top_p,
                seed=SAMPLING.seed,
            )
            counts.append(answer["usage"]["completion_tokens"])

    llama.reset()
    return timed(work), counts


def sequential_speedup(
    engine: NativeEngine, path: Path, prompts: Sequence[Sequence[int]], repeats: int, tokens: int
) -> float:
    llama = llama_cpp.Llama(
        str(path),
        n_ctx=1024,
        n_threads=engine._binding.num_threads,
        verbose=False,
    )
    ratios = []
    for _ in range(repeats):
        sequential, counts = one_after_another(llama, prompts, tokens)
        ratios.append(sequential / paths_at_once(engine, prompts, counts))
    llama.close()
    return statistics.median(ratios)


def prefill_seconds(engine: NativeEngine, prompt: Sequence[int], count: int) -> float:
    """Seconds of a prefill of ``count`` tokens into an empty cache."""
    tokens = list(itertools.islice(itertools.cycle(prompt), count + 1))
    spent = timed(lambda: engine.open(tokens))
    engine.clear()
    return spent


def verify_seconds(engine: NativeEngine, prompt: Sequence[int], paths: int, step: int) -> float:
    """Seconds to read the log-probabilities of a step of ``step`` tokens on each path."""
    root = engine.open(prompt)
    forks = [engine.fork(root) for _ in range(paths)]
    jobs = [ExtendJob(seq_id=seq, tokens=list(prompt[:step]), log_probs=True) for seq in forks]
    spent = timed(lambda: engine.extend(jobs))
    engine.clear()
    return spent


def decode_seconds(
    engine: NativeEngine, prompt: Sequence[int], count: int, rounds: int
) -> list[float]:
    """Seconds of each decode round on ``count`` sequences."""
    root = engine.open(prompt)
    paths = [engine.fork(root) for _ in range(count)]
    spent = []
    for _ in range(rounds):
        idle = [seq for seq in paths if seq not in engine._running]
        engine.start_steps([StepJob(seq, 10_000, SAMPLING) for seq in idle])
        spent.append(timed(engine.decode_round))
    engine.clear()
    return spent[1:]


def compare(engines: dict[str, NativeEngine], prompt: Sequence[int], repeats: int) -> Table:
    """Tokens per second of each engine, in turns; medians."""
    rates: dict[str, dict[str, list[float]]] = {name: {} for name in engines}
    for number in range(repeats):
        order = list(engines.items())
        for name, engine in order if number % 2 else reversed(order):
            found = {
                "prefill_244": [244 / prefill_seconds(engine, prompt, 244)],
                "verify_5x25": [125 / verify_seconds(engine, prompt, 5, 25)],
            }
            for count in (1, 3, 5):
                spent = decode_seconds(engine, prompt, count, 12)
                found[f"decode_{count}"] = [count / seconds for seconds in spent]
            for what, values in found.items():
                rates[name].setdefault(what, []).extend(values)
    return {
        name: {what: round(statistics.median(values), 1) for what, values in found.items()}
        for name, found in rates.items()
    }


def report_comparison(table: Table, as_json: bool, model: str) -> None:
    first, second = list(table)[:2]
    ratios = {
        "prefill_ratio": round(table[second]["prefill_244"] / table[first]["prefill_244"], 3),
        "decode5_ratio": round(table[second]["decode_5"] / table[first]["decode_5"], 3),
    }
    if as_json:
        print(json.dumps({"model": model, "tokens_per_s": table} | ratios))
        return
    print(f"{model}, tokens per second")
    for name, row in table.items():
        print(f"  {name:9}" + "".join(f"  {what} {rate:.1f}" for what, rate in row.items()))
    for what, ratio in ratios.items():
        print(f"  {what}, {second} over {first}: {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: the default pair's target")
    parser.add_argument("--engine", choices=("llama", "ik"), default="llama")
    parser.add_argument(
        "--compare",
        metavar="NAMES",
        help="time these in turns instead: llama,ik; ik:off is ik without repacked weights",
    )
    parser.add_argument("--repack", choices=("on", "off"), default="on")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=20, help="decode rounds measured")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=96, help="tokens a path in the last part")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    registry = load_registry()
    name = arguments.model or registry.pair("default").target
    path = ensure_model(registry.model(name))

    def opened(engine: str) -> NativeEngine:
        library, _, repack = engine.partition(":")
        config = EngineConfig(
            engine=cast(EngineName, library),
            path=str(path),
            name=name,
            threads=arguments.threads,
            gpu_layers=0,
            repack=(repack or arguments.repack) == "on",
            num_cells=4096,
        )
        return load_engine(config)

    if arguments.compare:
        engines = {one: opened(one) for one in arguments.compare.split(",")}
        prompt = prompts_of(next(iter(engines.values())))[0]
        table = compare(engines, prompt, arguments.repeats)
        report_comparison(table, arguments.json, name)
        return
    engine = opened(arguments.engine)
    prompts = prompts_of(engine)
    sequences = {
        str(count): {
            "decode_ratio": round(decode_ratio(engine, prompts[0], count, arguments.rounds), 4),
            "prefill_ratio": round(prefill_ratio(engine, prompts[0], count, arguments.repeats), 4),
        }
        for count in (1, 3, 5, 8)
    }
    speedup = sequential_speedup(engine, path, prompts, arguments.repeats, arguments.tokens)
    engine.close()
    report = {
        "model": name,
        "engine": arguments.engine,
        "sequences": sequences,
        "sequential_speedup": round(speedup, 3),
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"{name} on {arguments.engine}: bare C loop's time / ours (1 is as fast)")
    for count, row in sequences.items():
        print(
            f"  {count} sequences: decode {row['decode_ratio']:.3f}"
            f"  prefill {row['prefill_ratio']:.3f}"
        )
    print(f"five paths at once against five completions in turn: {speedup:.2f} x as fast")


def prompts_of(engine: NativeEngine) -> list[list[int]]:
    """The prompts of five paths."""
    pool = load_pool("maths")
    with Helper() as helper:
        return Prompter(engine, pool, helper).paths(PROBLEM, pool.strategies[:5])


if __name__ == "__main__":
    main()

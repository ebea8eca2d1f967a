"""Predicted seconds of plans: beside measured ones, for a 7 B target, and for other machines.

    python benchmarks/predict.py measured DATA.jsonl --out rows-predict [--num 3] [--skip 0]
    python benchmarks/predict.py shape [--file 7b.gguf] [--layers 28]
    python benchmarks/predict.py published

``measured`` runs eight plans in turn on the default pair (it goes on where it was stopped) and
prints, for each, seconds predicted with the shipped profile's lengths, with the lengths of these
very runs, and measured. ``shape`` writes a target of random weights in the shape of Qwen2.5 7B
(4.7 GB, for timing alone: what it writes means nothing, so acceptance is assumed), times it beside
the default pair's draft, which has the shape of a 0.5 B one, and prints from which acceptance SSD
is faster here. ``published`` does the same from speeds that others published.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from ssr_local.api import Solver
from ssr_local.bench.methods import parse_methods
from ssr_local.bench.profiling import figures_from
from ssr_local.bench.records import Row
from ssr_local.bench.runner import Bench, run_bench
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.bench.tasks import load_problems
from ssr_local.coordinator.choosing import specs_of
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import KindFigures, Profile
from ssr_local.diagnosis.pair_speeds import measured_speeds
from ssr_local.method.plans import parse_plan
from ssr_local.method.prediction import ROWS as BATCHES
from ssr_local.method.prediction import Speed, Speeds, break_even, predict
from ssr_local.models.download import ensure_model
from ssr_local.models.models_file import PairSpec
from ssr_local.models.registry import load_registry

PLANS = (
    "prose:target",
    "program:target",
    "program:target + brief:target",
    "program:target; first; prose:target",
    "program:target + brief:target; agree; 3 x prose:target",
    "3 x prose:target",
    "prose:ssd",
    "3 x prose:ssd@selected",
)
ACCEPTANCES = (0.5, 0.7, 0.9)

# Tokens per second of 7 to 8 B models in four bits: prefill of 512 tokens, decoding of 128. The
# draft of 1.5 B is not published with them.
PUBLISHED = (
    ("Core i5-6500, 4 threads (2015)", 13.8, 3.94, "ggml-org/llama.cpp#34, 7B q4"),
    ("Core i9-13900K, 8 threads", 33.67, 18.27, "ggml-org/llama.cpp#34, 7B q4"),
    ("Apple M4, 10 GPU cores", 224.81, 20.87, "brand-o/normiebench#3, 8B Q4_K_M"),
    ("Apple M1 Max", 499.58, 46.2, "brand-o/normiebench#40, 8B Q4_K_M"),
    (
        "GeForce RTX 3080",
        3806.89,
        111.95,
        "dmatora/LLM-inference-speed-benchmarks#12, 8B Q4_K_M",
    ),
)
DRAFT_SHARE = 1.54 / 7.62
"""A 1.5 B draft's time beside a 7 B target's: both read and multiply all their weights."""

# Qwen2.5 7B.
WIDTH, FEED_FORWARD, HEADS, KV_HEADS, LAYERS = 3584, 18944, 28, 4, 28
_BLOCK = 256
_Q4_BYTES, _Q6_BYTES = 144, 210


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=0)
    commands = parser.add_subparsers(dest="command", required=True)
    measured = commands.add_parser("measured")
    measured.add_argument("data", type=Path)
    measured.add_argument("--out", type=Path, default=Path("rows-predict"))
    measured.add_argument("--num", type=int, default=3)
    measured.add_argument("--skip", type=int, default=0)
    measured.add_argument("--plans", nargs="+", default=PLANS)
    shape = commands.add_parser("shape")
    shape.add_argument("--file", type=Path, default=Path("random-7b.gguf"))
    shape.add_argument("--layers", type=int, default=LAYERS, help="fewer for a try")
    commands.add_parser("published")
    asked = parser.parse_args()
    engine = EngineOptions(threads=asked.threads)
    if asked.command == "measured":
        compare(asked, engine)
    elif asked.command == "shape":
        if not asked.file.exists():
            write_shape(asked.file, asked.layers)
        pair = load_registry().pair("default")
        target = replace(pair, name="random", target=str(asked.file.absolute()))
        speeds = speeds_of(target, engine)
        for role, speed in speeds.items():
            rates = ", ".join(f"{rate:.1f} ({rows})" for rows, rate in speed.decode)
            print(f"{role}: prefill {speed.prefill:.1f}, decode {rates} tokens/s (rows)")
        where_it_pays([("this machine, measured", speeds, "random weights")])
    else:
        print("Predictions; no such machine was measured here.")
        print(
            "Assumed: a 1.5 B draft takes its share of the weights' time, and a row more of a batch"
            " costs what a token of prefill does."
        )
        where_it_pays([(name, estimated(*of), source) for name, *of, source in PUBLISHED])


def speeds_of(pair: PairSpec, engine: EngineOptions) -> Speeds:
    """Both models' speeds here, measured if they are not remembered."""
    specs = specs_of(load_registry(), pair)
    return dict(measured_speeds(specs, engine, on_progress=print))


# Beside measured ones ----------------------------------------------------------


def compare(asked: argparse.Namespace, engine: EngineOptions) -> None:
    """Run what is left to run and print the table of what there is, also when stopped."""
    pair, methods = load_registry().pair("default"), parse_methods(",".join(asked.plans))
    problems = load_problems("gsm8k", data=asked.data, limit=asked.skip + asked.num)[asked.skip :]
    bench, options = Bench("gsm8k", problems, methods, 1, 0), SolveOptions()
    settings = {"threads": engine.threads, "pair": pair.name}
    speeds = speeds_of(pair, engine)
    with (
        contextlib.suppress(KeyboardInterrupt),
        Scorer() as scorer,
        open_for_writing(asked.out, ROWS, Row, settings) as file,
    ):
        try:
            with Solver(engine=engine) as solver:
                for row in run_bench(bench, solver, scorer, options, file):
                    print(f"{row.problem} {row.method}: {row.outcome}, {row.elapsed_s:.1f} s")
        finally:
            report([row for row in file.lines if row.result], speeds, pair.profile)


def report(rows: Sequence[Row], speeds: Speeds, profile: Profile | None) -> None:
    """Predicted with the profile's lengths, with those of the rows, and measured."""
    found = figures_from(rows)
    assert profile is not None
    own = replace(
        profile,
        kinds=profile.kinds | found.kinds,
        agree=found.agree or profile.agree,
        prompt_tokens=found.prompt_tokens,
    )
    lines = []
    for plan, seconds in found.seconds.items():
        shipped, known = (predict(parse_plan(plan), speeds, one).seconds for one in (profile, own))
        lines.append(
            (
                plan,
                f"{shipped:.1f}",
                f"{known:.1f}",
                f"{seconds:.1f}",
                f"{100 * (known / seconds - 1):+.0f} %",
                str(found.plans[plan].num),
            )
        )
    head = ("plan", "by the profile's lengths", "by these", "measured", "off", "problems")
    table(head, lines)


# Where it pays -----------------------------------------------------------------


def where_it_pays(machines: Iterable[tuple[str, Speeds, str]]) -> None:
    """The acceptance from which SSD is faster, and seconds beside the target's at others."""
    head = ("machine", "break-even, 1 path", "3 paths")
    head += tuple(f"x target at {one:.0%}, {n}" for n in (1, 3) for one in ACCEPTANCES)
    lines = []
    for name, speeds, source in machines:
        even = (break_even(speeds["draft"], speeds["target"], n) for n in (1, 3))
        shown = ["never" if one is None else f"{max(0.0, one):.2f}" for one in even]
        times = [f"{beside(speeds, n, one):.2f}" for n in (1, 3) for one in ACCEPTANCES]
        lines.append((name, *shown, *times, source))
    table((*head, "speeds from"), lines)


def beside(speeds: Speeds, num_paths: int, acceptance: float) -> float:
    """Seconds of so many SSD paths over those of as many by the target alone."""
    kinds = {
        "prose:target": KindFigures(tokens=280, right=0.6),
        "prose:ssd": KindFigures(tokens=280, right=0.6, acceptance=acceptance),
    }
    plain = Profile(quick=PLANS[0], normal=PLANS[0], thorough=PLANS[0], kinds=kinds)
    ssd, alone = (
        predict(parse_plan(f"{num_paths} x prose:{writer}"), speeds, plain).seconds
        for writer in ("ssd", "target")
    )
    return ssd / alone


def estimated(prefill: float, decode: float) -> Speeds:
    """Speeds of a pair from the published ones of a target alone."""

    def scaled(share: float) -> Speed:
        first, more = share / decode, share / prefill
        batches = tuple((rows, rows / (first + (rows - 1) * more)) for rows in BATCHES)
        return Speed(prefill=prefill / share, decode=batches)

    return {"draft": scaled(DRAFT_SHARE), "target": scaled(1.0)}


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    for line in (head, ["---"] * len(head), *lines):
        print("| " + " | ".join(line) + " |")


# Random weights ----------------------------------------------------------------


def write_shape(path: Path, layers: int) -> None:
    """A model of random weights in four bits, in the shape of Qwen2.5 7B, with the tokenizer of
    the default pair's draft. All layers have the same ones: time does not depend on them."""
    import gguf

    registry = load_registry()
    draft = ensure_model(registry.model(registry.pair("default").draft))
    source = gguf.GGUFReader(draft)
    writer = gguf.GGUFWriter(path, "qwen2")
    for name, field in source.fields.items():
        if name.startswith("tokenizer."):
            kind, *of = field.types
            writer.add_key_value(name, field.contents(), kind, sub_type=of[0] if of else None)
    num_vocab = len(source.fields["tokenizer.ggml.tokens"].data)
    writer.add_name("random weights")
    writer.add_block_count(layers)
    writer.add_context_length(32768)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q4_K_M))
    random = np.random.default_rng(0)
    q4, q6 = gguf.GGMLQuantizationType.Q4_K, gguf.GGMLQuantizationType.Q6_K
    narrow = WIDTH // HEADS * KV_HEADS
    weights: dict[str, Any] = {
        "attn_q.weight": (quantized(random, WIDTH, WIDTH, q4), q4),
        "attn_k.weight": (quantized(random, narrow, WIDTH, q4), q4),
        "attn_v.weight": (quantized(random, narrow, WIDTH, q6), q6),
        "attn_output.weight": (quantized(random, WIDTH, WIDTH, q4), q4),
        "ffn_gate.weight": (quantized(random, FEED_FORWARD, WIDTH, q4), q4),
        "ffn_up.weight": (quantized(random, FEED_FORWARD, WIDTH, q4), q4),
        "ffn_down.weight": (quantized(random, WIDTH, FEED_FORWARD, q4), q4),
        "attn_norm.weight": (np.ones(WIDTH, np.float32), None),
        "ffn_norm.weight": (np.ones(WIDTH, np.float32), None),
        "attn_q.bias": (np.zeros(WIDTH, np.float32), None),
        "attn_k.bias": (np.zeros(narrow, np.float32), None),
        "attn_v.bias": (np.zeros(narrow, np.float32), None),
    }
    larger = quantized(random, WIDTH, FEED_FORWARD, q6), q6
    for layer in range(layers):
        # Q4_K_M keeps half of these in six bits.
        of_layer = weights | ({"ffn_down.weight": larger} if layer % 2 else {})
        for name, (tensor, kind) in of_layer.items():
            writer.add_tensor(f"blk.{layer}.{name}", tensor, raw_dtype=kind)
    writer.add_tensor("token_embd.weight", quantized(random, num_vocab, WIDTH, q4), raw_dtype=q4)
    writer.add_tensor("output.weight", quantized(random, num_vocab, WIDTH, q6), raw_dtype=q6)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantized(random: np.random.Generator, rows: int, columns: int, kind: Any) -> Any:
    """Blocks of random quants with small, finite scales; bytes of shape (rows, bytes of a row)."""
    is_q4 = int(kind) == 12  # Q4_K; else Q6_K
    size, num = (_Q4_BYTES if is_q4 else _Q6_BYTES), rows * columns // _BLOCK
    blocks = random.integers(0, 256, (num, size), dtype=np.uint8)
    if is_q4:  # the minimum takes away what the quants are on average
        blocks[:, :4] = np.array([2e-5, 1.5e-4], np.float16).view(np.uint8)
    else:
        blocks[:, -2:] = np.array([1e-5], np.float16).view(np.uint8)
    return blocks.reshape(rows, columns // _BLOCK * size)


if __name__ == "__main__":
    main()

"""Does the choice of strategies depend on the problem? Which one is chosen, by subject.

Reads, for problems of every subject, the letters' log-probabilities under two prompts: the one
until version 0.2 (the problem first, then the contest pool, nothing subtracted), and the one in
use (the pool first, letters calibrated by the pool's typical problems; also shown as it is, and
calibrated by problems that say nothing). A row a problem is
and prompt is appended to the file of results, so a stopped run goes on where it was.

    python benchmarks/selection.py PROBLEMS [PROBLEMS]... --out FILE [--each 6] [--old 3]
    python benchmarks/selection.py --out FILE            # only the table
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ssr_local.coordinator.prompter import Prompter, shared_prefix
from ssr_local.coordinator.templates import Message
from ssr_local.core.records import Strategy
from ssr_local.engine.base import Engine, EngineConfig, ExtendJob
from ssr_local.engine.loading import load_engine
from ssr_local.engine.prefixes import KeptPrefix, KeptPrefixes
from ssr_local.method import selection
from ssr_local.method.pools import Pool, load_pool
from ssr_local.method.prompts import CONTENT_FREE
from ssr_local.models.download import ensure_model
from ssr_local.models.registry import load_registry
from ssr_local.process.helper import Helper

WAYS = ("before", "pool first", "content-free", "calibrated")


def old_request(problem: str, strategies: Sequence[Strategy]) -> str:
    """The selection prompt until version 0.2."""
    listed = "\n".join(f"{one.letter}. {one.advice}" for one in strategies)
    return (
        f"{problem}\n\nDo not solve this yet. Here are strategies:\n\n{listed}\n\n"
        "Which one strategy is most promising here? Reply with its letter only."
    )


class Chooser:
    """One target and the pool; ``choose`` reads a problem's letters."""

    def __init__(self, engine: Engine, pool: Pool, helper: Helper) -> None:
        self.engine, self.pool = engine, pool
        self.prompter = Prompter(engine, pool, helper)
        self.kept = KeptPrefixes()
        self.typical = self.prompter.typical(pool.strategies)
        self.prefix = self.typical[0][: shared_prefix(self.typical)]
        self.nothing = selection.mean_of(
            [
                self._read(self._open_pool()[0], prompt, pool.strategies)
                for problem in CONTENT_FREE
                for prompt in self.prompter.selections(problem, [pool.strategies], 1)
            ]
        )

    def before(self, problem: str) -> dict[str, Any]:
        """The best letters under the old prompt, and what that costs."""
        contest = [one for one in self.pool.strategies if one.letter < "M"]
        started = time.monotonic()
        (prompt,) = self.prompter._encode([(Message("user", old_request(problem, contest)),)])
        read = self._read(self.engine.open(prompt[:1]), prompt, contest)
        return {"before": self._best(read), "before_s": round(time.monotonic() - started, 2)}

    def choose(self, problem: str) -> dict[str, Any]:
        """The best letters under the new prompt, and what that costs."""
        row: dict[str, Any] = {}
        self.engine.clear()
        started = time.monotonic()
        seq_id, baseline = self._open_pool()
        (prompt,) = self.prompter.selections(problem, [self.pool.strategies], 1)
        read = self._read(seq_id, prompt, self.pool.strategies)
        row["pool first"] = self._best(read)
        row["content-free"] = self._best(selection.calibrated(read, self.nothing))
        row["calibrated"] = self._best(selection.calibrated(read, baseline))
        row["log_probs"] = [round(value, 3) for value in read]
        row["prefilled"] = self.engine.usage().prefill_tokens
        row["problem_tokens"] = len(self.engine.tokenize(problem))
        row["elapsed_s"] = round(time.monotonic() - started, 2)
        return row

    def _open_pool(self) -> tuple[int, tuple[float, ...]]:
        kept = self.kept.find(self.engine, self.typical)
        if kept and (seq_id := self.engine.restore(self.prefix, kept.state)) is not None:
            return seq_id, kept.baseline
        seq_id = self.engine.open(self.prefix)
        state = self.engine.save(seq_id)
        self.engine.release(seq_id)
        rows = []
        for prompt in self.typical:
            seq_id = self.engine.restore(self.prefix, state)
            assert seq_id is not None, "it was just saved"
            rows.append(self._read(seq_id, prompt, self.pool.strategies))
        self.kept.keep(
            self.engine, self.typical, KeptPrefix(state=state, baseline=selection.mean_of(rows))
        )
        return self._open_pool()

    def _read(
        self, seq_id: int, prompt: Sequence[int], strategies: Sequence[Strategy]
    ) -> tuple[float, ...]:
        """Letters' log-probabilities after a prompt whose beginning the sequence holds."""
        candidates = self.prompter.candidates([one.letter for one in strategies])
        shared = shared_prefix([prompt, self.engine.tokens(seq_id)])
        self.engine.truncate(seq_id, shared)
        rest = prompt[shared:]
        job = ExtendJob(seq_id=seq_id, suffix=rest, candidates=candidates)
        (result,) = self.engine.extend([job])
        self.engine.release(seq_id)
        return result.probe or ()

    def _best(self, log_probs: Sequence[float]) -> str:
        letters = [one.letter for one in self.pool.strategies][: len(log_probs)]
        return "".join(selection.best(dict(zip(letters, log_probs, strict=True)), 3))


def problems(files: Sequence[Path], each: int) -> Iterator[dict[str, Any]]:
    """The first ``each`` problems of every subject; gsm8k has one, and twice as many."""
    for file in files:
        is_school = file.stem == "gsm8k"
        met: Counter[str] = Counter()
        lines = file.read_text(encoding="utf-8").splitlines()
        for line in lines[140:200] if is_school else lines[:130]:
            one = json.loads(line)
            one["subject"] = one.get("subject", file.stem)
            met[one["subject"]] += 1
            if met[one["subject"]] <= each * (1 + is_school):
                yield one | {"number": met[one["subject"]]}


def table(rows: Sequence[dict[str, Any]], pool: Pool) -> Iterator[str]:
    """Markdown: a line a subject and way, with how often each strategy was the best one."""
    by_subject: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_subject[row["subject"]].append(row)
    yield f"| subject | {' | '.join(WAYS)} |"
    yield f"| --- |{' --- |' * len(WAYS)}"
    for subject, own in sorted(by_subject.items()):
        cells = []
        for way in WAYS:
            counts = Counter(row[way][0] for row in own if way in row)
            cells.append(
                ", ".join(
                    f"{n} {pool.by_letter(letter).name}" for letter, n in counts.most_common()
                )
            )
        yield f"| {subject} | {' | '.join(cells)} |"
    for way in [way for way in WAYS if any(way in row for row in rows)]:
        yield f"{way}: {spread(rows, way)}"
    extra = [row["prefilled"] - row["problem_tokens"] for row in rows if "prefilled" in row]
    yield f"prefilled beyond the problem's tokens: {sorted(extra)[len(extra) // 2]} (median)"


def spread(rows: Sequence[dict[str, Any]], way: str) -> str:
    """How many strategies are ever the best, and how often school's are among the best three."""
    own = [row for row in rows if way in row]
    total = Counter(row[way][0] for row in own)
    school = [
        [letter > "M" for row in own if (row["subject"] == "gsm8k") is asked for letter in row[way]]
        for asked in (True, False)
    ]
    shares = [f"{sum(each)} of {len(each)}" for each in school]
    return (
        f"{len(own)} problems, {len(total)} strategies are first for some, one for"
        f" {total.most_common(1)[0][1]}; school strategies among the first three:"
        f" {shares[0]} on gsm8k, {shares[1]} elsewhere"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problems", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--engine", default="ik", choices=("ik", "llama"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--each", type=int, default=6)
    parser.add_argument("--old", type=int, default=3, help="problems a subject with the old prompt")
    given = parser.parse_args()
    pool = load_pool("maths")
    lines = given.out.read_text(encoding="utf-8").splitlines() if given.out.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {(row["id"], "before" in row) for row in rows}
    asked = list(problems(given.problems, given.each))
    todo = [(one, False) for one in asked]
    todo += [(one, True) for one in asked if one["number"] <= given.old]
    if todo := [(one, is_old) for one, is_old in todo if (one["id"], is_old) not in done]:
        spec = load_registry().model(given.model)
        config = EngineConfig(
            path=str(ensure_model(spec)),
            name=spec.name,
            engine=given.engine,
            sha256=spec.sha256,
            threads=given.threads,
            gpu_layers=0,
        )
        engine, helper = load_engine(config), Helper()
        try:
            chooser = Chooser(engine, pool, helper)
            for one, is_old in todo:
                read = (chooser.before if is_old else chooser.choose)(one["problem"])
                rows.append({"id": one["id"], "subject": one["subject"]} | read)
                with given.out.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(rows[-1]) + "\n")
        finally:
            engine.close()
            helper.close()
    print("\n".join(table(rows, pool)))


if __name__ == "__main__":
    main()

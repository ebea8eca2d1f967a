"""Thirty worked solutions, twenty with one planted error: what each verifier finds of them.

    python benchmarks/tutoring.py [--pair default] [--threshold 7] [--json FILE]

A planted error is found when its step is refused; a right step is any before the error, and
every step of a solution without one. Steps behind an error count for nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ssr_local import Solver
from ssr_local.method.verification import VERIFIERS
from ssr_local.process.helper import Helper
from ssr_local.tutoring.algebra import Algebra, Says
from ssr_local.tutoring.checking import StudentJudge

SOLUTIONS = Path(__file__).with_name("worked-solutions.jsonl")
ALONE = "algebra alone"


def together(accepted: bool, says: Says) -> bool:
    """Algebra wins where it says anything."""
    return accepted if says == "undecided" else says == "holds"


class Count:
    """Errors found, by kind, and right steps refused."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.refused = 0

    def take(self, accepted: bool, kind: str | None) -> None:
        """One step: ``kind`` is that of its planted error, None for a right step."""
        if not accepted and kind is not None:
            self.found[kind] += 1
        elif not accepted:
            self.refused += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pair", default="default")
    parser.add_argument("--threshold", type=float, default=7.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    solutions = [json.loads(line) for line in SOLUTIONS.read_text().splitlines()]
    kinds = Counter(one["error_kind"] for one in solutions if one["error_kind"])
    counts = {ALONE: Count()}
    counts |= {f"{name}{more}": Count() for name in VERIFIERS for more in ("", " + algebra")}
    num_right = 0
    with Solver(pair=given.pair) as solver, Helper() as helper:
        for number, one in enumerate(solutions, 1):
            print(f"[{number}/{len(solutions)}] {one['id']}", file=sys.stderr)
            readings = solver.read_steps(one["problem"], [f"{step}\n\n" for step in one["steps"]])
            algebra = Algebra(one["problem"], helper)
            says = [algebra.step(step).says for step in one["steps"]]
            judges = {
                name: StudentJudge(name, given.threshold, solver.calibrations) for name in VERIFIERS
            }
            last = len(says) - 1 if one["error_step"] is None else one["error_step"]
            for place in range(last + 1):
                kind = one["error_kind"] if place == one["error_step"] else None
                num_right += kind is None
                counts[ALONE].take(says[place] != "does not hold", kind)
                for name, judge in judges.items():
                    verdict = judge.verdict(readings[place])
                    accepted = verdict is None or verdict.accepted
                    counts[name].take(accepted, kind)
                    counts[f"{name} + algebra"].take(together(accepted, says[place]), kind)
    report(counts, kinds, num_right)
    if given.json is not None:
        result: dict[str, Any] = {
            "pair": given.pair,
            "threshold": given.threshold,
            "planted": dict(kinds),
            "right_steps": num_right,
            "verifiers": {
                name: {"found": dict(count.found), "right_steps_refused": count.refused}
                for name, count in counts.items()
            },
        }
        given.json.write_text(json.dumps(result, indent=1) + "\n")


def report(counts: dict[str, Count], kinds: Counter[str], num_right: int) -> None:
    """A table in Markdown."""
    names = sorted(kinds)
    heads = [f"{name} ({kinds[name]})" for name in names]
    print(f"| judged by | errors found, of {kinds.total()} | {' | '.join(heads)} | right steps"
          f" refused, of {num_right} |")  # fmt: skip
    print(f"|{' --- |' * (len(names) + 3)}")
    for name, count in counts.items():
        found = " | ".join(str(count.found[kind]) for kind in names)
        print(f"| {name} | {count.found.total()} | {found} | {count.refused} |")


if __name__ == "__main__":
    main()

"""Peak resident memory of a run against both files and their KV caches (Linux).

python benchmarks/memory.py [--paths N] [--json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ssr_local import Solver
from ssr_local.core.records import ModelInfo

PROBLEM = "A shop sells pens at 3 dollars each. How much do 14 pens cost, in dollars?"


def peak_bytes(pid: int) -> int:
    """The process's largest resident memory so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"no VmHWM for process {pid}")


def children(pid: int) -> list[int]:
    """Child processes (the helper that compares answers)."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def model_bytes(info: ModelInfo | None) -> int:
    """A model's file and its KV cache."""
    return 0 if info is None else Path(info.file).stat().st_size + info.kv_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with Solver() as solver:
        result = solver.solve(PROBLEM, paths=arguments.paths, seed=1)
        if solver.worker_pid is None:
            raise SystemExit("the worker has ended")
        worker = peak_bytes(solver.worker_pid)
        helpers = sum(peak_bytes(pid) for pid in children(solver.worker_pid))
    expected = model_bytes(result.models.draft) + model_bytes(result.models.target)
    report = {
        "paths": arguments.paths,
        "files_and_kv_bytes": expected,
        "worker_peak_bytes": worker,
        "helper_peak_bytes": helpers,
        "ratio": round(worker / expected, 4),
        "ratio_with_helper": round((worker + helpers) / expected, 4),
    }
    if arguments.json:
        print(json.dumps(report))
        return
    print(f"files and KV caches {expected / 1e6:,.0f} MB; worker at most {worker / 1e6:,.0f} MB")
    print(f"ratio {report['ratio']:.3f}, with the helper process {report['ratio_with_helper']:.3f}")


if __name__ == "__main__":
    main()

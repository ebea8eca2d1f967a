"""``ssr-local bench calibrate``: what verifiers' values mean for a pair, from labelled steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ssr_local.bench.labels.calibration import calibration_toml, fit_pair
from ssr_local.bench.labels.process_labels import MARGIN
from ssr_local.bench.provenance import now
from ssr_local.cli.at_work import remark
from ssr_local.cli.bench.parameters import (
    data_options,
    folder_for,
    model_options,
    settings_for,
)
from ssr_local.cli.bench.results import read_walks, say
from ssr_local.cli.bench.steps import collect_into, rollout_options
from ssr_local.core.errors import UsageError
from ssr_local.core.folders import write_whole
from ssr_local.core.options import EngineOptions
from ssr_local.models.models_toml import parse_models_toml
from ssr_local.models.registry import load_registry, save_calibrations


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@data_options
@rollout_options
@click.option(
    "--with",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    help="fit on the labelled steps of this directory too; can be given several times",
)
@click.option(
    "--bad-margin",
    type=click.FloatRange(0, 1, min_open=True),
    default=MARGIN,
    show_default=True,
    help="a step that lowers the rate of right answers by more is bad",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    help="write the calibration to this file instead of putting it in force",
)
@click.option("--json", "as_json", is_flag=True, help="print all the evidence as one JSON object")
@model_options
def command(
    out: Path | None,
    task: str,
    num: int,
    others: tuple[Path, ...],
    bad_margin: float,
    write: Path | None,
    as_json: bool,
    **more: Any,
) -> int:
    """Collect labelled steps of a task in OUT, and fit the calibration of a pair from them.

    It is put in force on this machine, in the data folder, and printed in the form of
    models.toml. The paper's verifier 'digit' keeps its own scale. Exit codes as for
    'bench steps'.
    """
    pair = _pair(
        settings_for(
            task, {k: v for k, v in more.items() if k in EngineOptions.__struct_fields__}
        ).engine
    )
    folder = folder_for(task, out)
    labelled = collect_into(folder, task, num, **more)
    walks = read_walks((folder, *others))
    fit = fit_pair(walks, margin=bad_margin, date=now()[:10])
    fit.calibrations.pop("digit", None)
    toml = calibration_toml(pair, fit)
    if write is not None:
        write_whole(write, toml.encode())
        remark(f"Written: {write}")
    else:
        _put_in_force(pair, toml)
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(fit)).decode())
    else:
        say(toml)
        remark(f"Best on problems held out: {fit.best_verifier}.")
        if fit.left_out:
            remark(f"Left out, too few steps could be read: {', '.join(fit.left_out)}.")
    return 0 if labelled >= num else 1


def _put_in_force(pair: str, toml: str) -> None:
    file = save_calibrations(load_registry().pair(pair), toml)
    saved = parse_models_toml(file.read_bytes(), str(file))[1][pair].calibrations
    if saved.items() <= load_registry().pair(pair).calibrations.items():
        remark(f"In force: {file}")
    else:
        remark(f"Saved in {file}, but your own models.toml gives this pair others, which count.")


def _pair(engine: EngineOptions) -> str:
    if engine.draft is not None or engine.target is not None:
        raise UsageError(
            "A calibration belongs to a pair, not to --draft and --target.",
            "",
            "Make a pair of them in your models.toml: ssr-local config path",
        )
    return engine.pair

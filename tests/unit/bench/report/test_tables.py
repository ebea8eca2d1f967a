"""The report as a reader sees it, and on any rows there can be."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssr_local.bench.labels.verifiers import score_verifiers
from ssr_local.bench.records import Rate, Row
from ssr_local.bench.report.compare import compare_markdown
from ssr_local.bench.report.figures import Report, build_report, report_json
from ssr_local.bench.report.markdown import escaped
from ssr_local.bench.report.tables import report_head, report_markdown, steps_markdown
from tests.unit.bench.labels.made_walks import planted, walk
from tests.unit.bench.report.made_rows import (
    outcomes,
    result,
    row,
    small_evaluation,
)

WALKS = [
    *planted({"likelihood": 1.0}, num_problems=12),
    walk("none", []),
    walk("unsolved", [], start=Rate(0, 6)),
]


@cache
def small_report() -> Report:
    return build_report(small_evaluation(), WALKS, calibrations={})


def table_under(text: str, title: str) -> list[dict[str, str]]:
    """The table under a heading, a line a dictionary."""
    _, _, after = text.partition(f"### {title}\n\n")
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in after.partition("\n\n")[0].splitlines()]
    head, _, *rows = ([cell.strip() for cell in line] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_it_begins_with_one_table_and_at_most_three_sentences() -> None:
    title, table, sentences, after, *_ = report_markdown(small_report()).split("\n\n")
    assert title.startswith("# ")
    assert all(line.startswith("|") for line in table.splitlines())
    assert len(re.findall(r"\.(?:\s|$)", sentences)) <= 3
    assert after.startswith("## ")


@pytest.mark.parametrize("baseline", ["target", "target+prompt=first", "a*b"])
def test_the_first_table_has_every_method_beside_the_baseline_and_the_decision(
    baseline: str,
) -> None:
    rows = outcomes(baseline, "+" * 12) + outcomes("ssr-m3", "-" + "+" * 11, seconds=4.0)
    head = report_head(build_report(rows, baseline="a*b" if baseline == "a*b" else "target"))
    assert f"({escaped(baseline)})" in head
    cells = [[one.strip() for one in line.split("|")[1:-1]] for line in head.splitlines()[2:4]]
    assert [line[:4] for line in cells] == [
        ["gsm8k", escaped(baseline), "baseline", "12"],
        ["gsm8k", "ssr-m3", "pays in time, use", "12"],
    ]
    assert cells[1][5:8] == ["-8 [-35, 17]", "1.00", "0.40"]
    assert cells[0][5:] == ["-"] * 5


def test_without_a_baseline_the_report_says_how_to_name_one() -> None:
    head = report_head(build_report(outcomes("ssr-m3", "++") + outcomes("auto-quick", "+-")))
    assert "--baseline" in head
    assert "decided" not in head


def test_what_should_not_be_mixed_is_told_before_any_section() -> None:
    text = report_markdown(build_report([row(), row(problem="p2", machine="B")]))
    assert text.index("Several machines are mixed") < text.index("\n## ")


def test_no_rows_make_a_report_too() -> None:
    assert "No rows." in report_markdown(build_report([]))


def test_pictures_stand_in_their_task_and_nowhere_without_plots() -> None:
    _, _, rest = report_markdown(small_report()).partition("\n## logic\n")
    logic, _, others = rest.partition("\n## ")
    assert set(re.findall(r"\]\(accuracy-time-(.*?)\.png\)", logic)) == {"logic"}
    assert "![" not in others
    assert "![" not in report_markdown(small_report(), plots=False)


def test_batches_say_what_their_seconds_are() -> None:
    text = report_markdown(build_report(outcomes("target", "++", concurrency=4)))
    assert "equal share" in text
    assert "equal share" not in report_markdown(build_report(outcomes("target", "++")))


def test_signatures_that_nothing_could_show_are_left_out() -> None:
    text = report_markdown(build_report(outcomes("target", "+.")))
    found = {line["name"]: line["num"] for line in table_under(text, "Failure signatures")}
    assert found == {
        "right path outvoted": "0",
        "all paths cut off": "0",
        "step repeated itself": "0",
    }


def test_verifiers_that_read_something_have_their_false_accepts_and_rejects() -> None:
    text = steps_markdown(score_verifiers(WALKS, calibrations={}))
    lines = {line["name"]: line for line in table_under(text, "Verifiers")}
    for name, held_out in (("likelihood", "yes"), ("digit", "no")):
        assert re.fullmatch(r"\d+/\d+ \[.*\]", lines[name]["false accepts"])
        assert re.fullmatch(r"\d+/\d+ \[.*\]", lines[name]["false rejects"])
        assert lines[name]["is held out"] == held_out
    (uncalibrated,) = table_under(text, "The likelihood without a calibration")
    assert "false accepts" in uncalibrated
    (steps,) = table_under(text, "Labelled steps")
    assert (steps["problems"], steps["without steps"], steps["unsolved"]) == ("14", "2", "1")


def test_walks_without_a_judged_step_have_no_verifiers() -> None:
    text = steps_markdown(score_verifiers([walk("1", [])]))
    assert "### Verifiers" not in text
    assert "### Labelled steps" in text


def test_hostile_names_stay_names() -> None:
    name = "<img src=x>|`$(rm)`\n## 9. Mine\x1b[2J [a](http://b.c)"
    rows = [
        row("target", name, "missing", task=name, found=result(answer=None), subject=name),
        row("ssr-m3", name, "failed", task=name, machine=name),
    ]
    text = report_markdown(build_report(rows))
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\n## 9" not in text
    assert "[a](" not in text
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in lines}) <= 1
    assert "&lt;img" in text


def test_the_order_of_rows_changes_nothing() -> None:
    rows = small_evaluation()
    assert report_json(build_report(rows[::-1])) == report_json(build_report(rows))


ROWS = small_evaluation() + outcomes("something else", "+-!?.")


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(range(len(ROWS))), max_size=40), st.integers(0, 3))
def test_any_rows_make_a_valid_report(indices: list[int], num_walks: int) -> None:
    rows: list[Row] = [ROWS[index] for index in indices]
    report = build_report(rows, WALKS[:num_walks])

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in the JSON")

    json.loads(report_json(report), parse_constant=refuse)
    text = report_markdown(report)
    assert "nan" not in text.lower().split()
    assert "None" not in text
    compare_markdown(report, small_report(), ("one", "two"))


def test_runs_that_took_no_time_make_a_report() -> None:
    rows = outcomes("target", "+-+", seconds=0.0) + outcomes("ssr-m3", "+-+", seconds=0.0)
    assert "### Failure signatures" in report_markdown(build_report(rows))

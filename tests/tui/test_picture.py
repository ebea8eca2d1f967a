"""Runs as pictures: what is in them, and that nothing in them runs."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.display import END_WORDS
from ssr_local.core.events import AnyEvent, PathEnded
from ssr_local_tui.picture import as_svg
from tests.unit.coordinator.scripted import Paths
from tests.unit.core.test_tree import OTHER, TURNS, grown, log
from tests.unit.test_run_report import HOSTILE, LOGS, REASONS, opened, poisoned, started


def check_svg(svg: str) -> str:
    """The picture is XML that runs and fetches nothing; the text in it."""
    tags = {element.tag.partition("}")[2] for element in ElementTree.fromstring(svg).iter()}
    assert tags <= {"svg", "style", "defs", "clipPath", "rect", "g", "text", "circle"}
    assert "url(http" not in svg.replace('"', "")
    assert "@font-face" not in svg
    texts = [e.text or "" for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text")]
    return "".join(texts).replace("\xa0", " ")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_from_outside_runs_in_a_picture(text: str) -> None:
    check_svg(as_svg(grown(poisoned(text))))
    check_svg(as_svg(grown(poisoned(text)[:-1]), width=30))


def test_the_picture_shows_the_tree() -> None:
    text = check_svg(as_svg(grown(log(paths=Paths([*TURNS[:3]], B=OTHER)))))
    for expected in (
        "How many?",
        "*A name A 0.40",
        "path 2  B name B",
        "1 draft, accepted 8.0",
        "2 target, rewritten 4.0",
        "A slip is made here.",
        "The target says it right.",
        "end: answer: 8",
        "* vote 8",
        "answer: 8",
    ):
        assert expected in text
    assert "line-through" in as_svg(grown(log()))


def test_text_in_the_picture_reads_as_it_should_in_any_width() -> None:
    for text, shown in (
        (r"So $\frac{1}{2} \times x^{2}$.", "So 1/2 × x²."),
        ("[bold]no markup[/bold] :smile:", "[bold]no markup[/bold] :smile:"),
        ("a <b> & 'c'", "a <b> & 'c'"),
    ):
        assert shown in check_svg(as_svg(grown([started(text)])))
    tree = grown([started("word " * 100)])
    svgs = [as_svg(tree, width=width) for width in (20, 60, 200)]
    sizes = [float(svg.split('viewBox="0 0 ')[1].split()[0]) for svg in svgs]
    assert sizes == sorted(set(sizes))
    for svg in svgs:
        assert check_svg(svg).replace("│", "").count("word") == 100


def test_how_a_path_or_a_run_ended_is_said() -> None:
    for reason in REASONS:
        end = PathEnded(path=0, reason=reason, answer=None, mean_score=None)
        events: list[AnyEvent] = [started(), opened(), end]
        assert f"end: {END_WORDS[reason]}" in check_svg(as_svg(grown(events)))
    commands: dict[int, AnyCommand] = {20: Cancel()}
    assert "stopped before its end" in check_svg(as_svg(grown(log(commands))))


@given(st.integers(0, len(LOGS) - 1), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_any_prefix_of_a_log_can_be_drawn(which: int, share: float) -> None:
    tree = grown(LOGS[which][: int(share * len(LOGS[which]))])
    text = check_svg(as_svg(tree))
    assert ("not ended: as of" in text) == (tree.result is None)

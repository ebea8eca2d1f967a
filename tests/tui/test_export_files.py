"""Runs as files, named safely and written whole or not at all; and nothing in a picture runs."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.display import END_WORDS
from ssr_local.core.errors import UsageError
from ssr_local.core.events import AnyEvent, PathEnded
from ssr_local.pages.run_report import as_markdown
from ssr_local_tui.export import save, suggested_name
from ssr_local_tui.picture import as_svg
from tests.unit.coordinator.scripted import Paths
from tests.unit.core.test_tree import OTHER, TURNS, grown, log
from tests.unit.test_run_report import HOSTILE, LOGS, opened, poisoned, started


@pytest.mark.parametrize(
    ("problem", "seed", "name"),
    [
        ("How many did she sell, in all of May?", 7, "ssr-how-many-did-she-sell-in-seed7.md"),
        ("", 0, "ssr-run-seed0.md"),
        ("../../etc/passwd", 1, "ssr-etc-passwd-seed1.md"),
        ("C:\\con\x00 | <x> \"y\" *?", 1, "ssr-c-con-x-y-seed1.md"),
        ("\x1b]0;title\x07-rf $x^2$\n", 1, "ssr-rf-x-2-seed1.md"),
        ("你好 世界", 3, "ssr-你好-世界-seed3.md"),
        ("a" * 5000, 3, "ssr-" + "a" * 48 + "-seed3.md"),
        ("\u202eevil", "a/b", "ssr-evil.md"),
    ],
)  # fmt: skip
def test_the_suggested_name(problem: str, seed: str | int | None, name: str) -> None:
    event = msgspec.structs.replace(started(problem), options={"seed": seed})
    assert suggested_name(grown([event]), "md") == name


@given(st.text())
def test_any_problem_gives_a_safe_name(problem: str) -> None:
    name = suggested_name(grown([started(problem)]), "svg")
    assert re.fullmatch(r"ssr-[\w-]+\.svg", name)
    assert len(name.encode()) <= 255


def test_a_file_that_is_there_stays_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    tree, file, link = grown(log()), tmp_path / "run.md", tmp_path / "link.md"
    file.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    for path in (file, link, tmp_path):
        with pytest.raises(UsageError, match="exists already"):
            save(tree, "md", path, None)
    assert file.read_text() == "mine"
    save(tree, "md", file, None, overwrite=True)
    assert file.read_text() == as_markdown(tree)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.md", "run.md"]


@pytest.mark.parametrize("name", ["no/run.md", "file/run.md", "x" * 300, "a\x00b", ""])
def test_what_cannot_be_written_is_named_and_changes_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    path = tmp_path / name
    with pytest.raises(UsageError, match="cannot be written") as caught:
        save(grown(log()), "md", path, None, overwrite=not name)
    assert path.name.replace("\x00", "?") in caught.value.what
    assert caught.value.why
    assert caught.value.next_step
    assert all(line.isprintable() for line in str(caught.value).split("\n"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "run.md"
    file.write_text("mine")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UsageError, match="No space left on device"):
        save(grown(log()), "md", file, None, overwrite=True)
    assert file.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.md"]


def test_what_a_format_needs_and_is_not_there(tmp_path: Path) -> None:
    whole_run, cut = grown(log()), grown(log()[:9])
    for tree, fmt, source, words in (
        (whole_run, "jsonl", None, "no event log"),
        (whole_run, "jsonl", tmp_path / "gone.jsonl", "gone.jsonl cannot be read"),
        (cut, "json", None, "not ended"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            save(tree, fmt, tmp_path / "out", source)
        assert caught.value.next_step
    assert list(tmp_path.iterdir()) == []


# Pictures ------------------------------------------------------------------------------


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
    check_svg(as_svg(grown(poisoned(text)[:-1])))


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


def test_text_in_the_picture_reads_as_it_should() -> None:
    for text, shown in (
        (r"So $\frac{1}{2} \times x^{2}$.", "So 1/2 × x²."),
        ("[bold]no markup[/bold] :smile:", "[bold]no markup[/bold] :smile:"),
        ("a <b> & 'c'", "a <b> & 'c'"),
    ):
        assert shown in check_svg(as_svg(grown([started(text)])))
    svg = as_svg(grown([started("word " * 100)]))
    assert check_svg(svg).replace("│", "").count("word") == 100


def test_how_a_path_or_a_run_ended_is_said() -> None:
    for reason, words in END_WORDS.items():
        end = PathEnded(path=0, reason=reason, answer=None, mean_score=None)
        events: list[AnyEvent] = [started(), opened(), end]
        assert f"end: {words}" in check_svg(as_svg(grown(events)))
    commands: dict[int, AnyCommand] = {20: Cancel()}
    assert "stopped before its end" in check_svg(as_svg(grown(log(commands))))


@given(st.integers(0, len(LOGS) - 1), st.floats(0, 1))
@settings(max_examples=60)
def test_any_prefix_of_a_log_can_be_drawn(which: int, share: float) -> None:
    tree = grown(LOGS[which][: int(share * len(LOGS[which]))])
    text = check_svg(as_svg(tree))
    assert ("not ended: as of" in text) == (tree.result is None)

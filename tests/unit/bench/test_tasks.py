from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from ssr_local.bench import problem_files
from ssr_local.bench.records import Problem
from ssr_local.bench.tasks import TASKS, load_problems
from ssr_local.core import folders
from ssr_local.core.errors import DownloadError, UsageError
from tests.unit.models.download.local_hub import LocalHub

TEST = "def check(candidate):\n    assert candidate(2) == 4\n"


def line(**fields: object) -> str:
    return json.dumps({"id": "a/1", "problem": "How many?", "answer": "3"} | fields)


def code_line(**fields: object) -> str:
    return line(**{"entry_point": "double", "test": TEST} | fields)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "mine.jsonl"


def test_a_file_may_have_blank_lines_a_mark_and_other_keys(data: Path) -> None:
    first, second = line(url="x", level="5"), line(id=2, answer=2.50, level="Level 3")
    lines = ("\ufeff" + first, "", second, "  ", line(id="c", level=1))
    data.write_text("\r\n".join(lines), encoding="utf-8")
    assert load_problems("gsm8k", data=data) == (
        Problem(id="a/1", problem="How many?", answer="3", level=5),
        Problem(id="2", problem="How many?", answer="2.5", level=3),
        Problem(id="c", problem="How many?", answer="3", level=1),
    )


@pytest.mark.parametrize("written", ["12345678901234567890123", "0.10", "1e400", "-7"])
def test_a_number_loses_no_digit(written: str, data: Path) -> None:
    data.write_text(line(answer=0).replace('"answer": 0', f'"answer": {written}'))
    assert load_problems("gsm8k", data=data)[0].answer == written


def test_a_code_problem_keeps_its_line_breaks_and_needs_no_answer(data: Path) -> None:
    prompt = "\ndef double(n):\n    '''Twice n.'''\n"
    data.write_text(code_line(problem=prompt, answer=None))
    assert load_problems("code", data=data) == (
        Problem(id="a/1", problem=prompt, answer="", entry_point="double", test=TEST),
    )


WRONG = [
    ("{", "not JSON", "one JSON object a line"),
    ("[1]", "a list is not a JSON object", "id, problem, answer"),
    (line(answer=float("nan")), "NaN is not JSON", "numbers, texts"),
    ('{"a":' * 100_000, "nested too deeply", "flat"),
    ('{"id": "a", "id": "b"}', "key 'id' stands twice", "every key once"),
    ('{"problem": "p", "answer": "1"}', "key 'id' is missing", "id, problem, answer"),
    (line(problem=None), "key 'problem' is missing", "id, problem, answer"),
    (line(problem=5), "key 'problem' cannot be 5", "a text"),
    (line(problem=" \n"), "key 'problem': The problem is empty", ""),
    (line(answer=""), "key 'answer' is empty", "reference answer"),
    (line(answer=True), "key 'answer' cannot be True", "text"),
    (line(answer="1\0"), "NUL character", "text"),
    (line(answer="\udfff"), "not valid text", "text"),
    (line(answer="x" * 100_001), "100001 characters", "at most 100000"),
    (line(id=""), "key 'id' is empty", "text"),
    (line(id="a\x1b[2J"), "cannot be printed", "text"),
    (line(id="x" * 201), "201 characters", "at most 200"),
    (line(subject={"a": 1}), "key 'subject' cannot be a table", "text"),
    (line(level=0), "key 'level' cannot be 0", "1 to 100"),
    (line(level="hard"), "key 'level' cannot be 'hard'", "'Level 3'"),
    (line(levle=3), "unknown key 'levle'", "level"),
    (line(test=TEST), "key 'test' belongs to code problems", ""),
]
WRONG_CODE = [
    (line(), "key 'entry_point' is missing", "id, problem, entry_point, test"),
    (code_line(entry_point="1x"), "key 'entry_point' cannot be '1x'", "function's name"),
    (code_line(entry_point="class"), "key 'entry_point' cannot be 'class'", "function's name"),
    (code_line(test="assert True"), "defines no function 'check'", "def check(candidate)"),
    (code_line(test=7), "key 'test' cannot be 7", "text"),
]


@pytest.mark.parametrize(
    ("task", "text", "wrong", "accepted"),
    [("gsm8k", *case) for case in WRONG] + [("code", *case) for case in WRONG_CODE],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_line_is_named(task: str, text: str, wrong: str, accepted: str, data: Path) -> None:
    good = code_line(id="good") if task == "code" else line(id="good")
    data.write_text(f"{good}\n\n{text}\n")
    with pytest.raises(UsageError) as caught:
        load_problems(task, data=data, limit=1)
    message = str(caught.value)
    assert message.startswith(f"{data}, line 3: ")
    assert wrong in message
    assert accepted in caught.value.why
    assert message.replace("\n", "").isprintable()


def test_an_id_stands_once(data: Path) -> None:
    data.write_text("\n".join((line(id="x"), line(id="y"), line(id="x", problem="Another?"))))
    with pytest.raises(UsageError, match=r"line 3: id 'x' is already that of line 1"):
        load_problems("logic", data=data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no problems in it"),
        (b"\n \n", "no problems in it"),
        (line().encode() + b"\n\xff\n", "line 2: not UTF-8 text"),
        (b'"' + b"x" * 2000, "line 1: too long"),
        ("\n".join(line(id=number) for number in range(100)).encode(), "too large"),
    ],
    ids=["empty", "blank", "encoding", "line", "file"],
)
def test_a_file_that_holds_no_problems(
    content: bytes, message: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problem_files, "MAX_LINE_CHARS", 1000)
    monkeypatch.setattr(problem_files, "MAX_FILE_BYTES", 3000)
    data.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_problems("gsm8k", data=data)
    assert message in str(caught.value)
    assert str(data) in str(caught.value)


def test_a_huge_file_is_not_read_to_its_end(data: Path) -> None:
    with data.open("wb") as stream:
        stream.truncate(10 << 30)
    with pytest.raises(UsageError, match="too large"):
        load_problems("gsm8k", data=data)


@pytest.mark.parametrize("path", ["nothing.jsonl", ".", "pipe", "a\0b"])
def test_a_path_that_is_no_file(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError):
        load_problems("gsm8k", data=tmp_path / path)


def test_some_tasks_take_only_their_own_problems_and_some_have_none(data: Path) -> None:
    with pytest.raises(UsageError, match="Leave out --data"):
        load_problems("selfcheck", data=data)
    assert [problem.id for problem in load_problems("selfcheck", limit=1)] == ["selfcheck/01"]
    with pytest.raises(UsageError, match="--data FILE"):
        load_problems("logic")


# What a line of each dataset looks like, in words of our own.
HUB: dict[str, tuple[dict[str, Any], Problem]] = {
    "gsm8k": (
        {"question": "Two and two?", "answer": "It is 2 + 2 = <<2+2=4>>4.\n#### 1,004"},
        Problem(id="gsm8k/0", problem="Two and two?", answer="1,004"),
    ),
    "math500": (
        {
            "problem": "Half of $x$?",
            "solution": r"$\boxed{\frac{x}{2}}$",
            "answer": r"\frac{x}{2}",
            "subject": "Algebra",
            "level": 2,
            "unique_id": "test/algebra/1.json",
        },
        Problem(
            id="math500/0",
            problem="Half of $x$?",
            answer=r"\frac{x}{2}",
            subject="Algebra",
            level=2,
        ),
    ),
    "aime24": (
        {"id": 60, "problem": "How long?", "solution": "...", "answer": "025", "url": "u"},
        Problem(id="aime24/60", problem="How long?", answer="025"),
    ),
    "amc23": (
        {"id": 3, "problem": "How far?", "answer": 27.0, "url": "u"},
        Problem(id="amc23/3", problem="How far?", answer="27"),
    ),
    "livemathbench": (
        {
            "question": "Which one?",
            "answer": "B",
            "question_type": "single-choice",
            "options": ["(A) 1", "(B) 2"],
        },
        Problem(
            id="livemathbench/0",
            problem="Which one?\n(A) 1\n(B) 2",
            answer="B",
            subject="single-choice",
        ),
    ),
    "code": (
        {
            "task_id": "Python/12",
            "prompt": "def double(n):\n",
            "canonical_solution": "    return 2 * n\n",
            "entry_point": "double",
            "test": f"{TEST}\n\ncheck(double)\n",
            "signature": "double(n)",
        },
        Problem(
            id="HumanEval/12",
            problem="def double(n):\n",
            answer="    return 2 * n\n",
            entry_point="double",
            test=TEST,
        ),
    ),
}


class DatasetHub(LocalHub):
    """A hub whose repositories all list the same files."""

    names: tuple[str, ...] = (
        "README.md",
        "data/202505/AMC_en.jsonl",
        "data/202412/AMC_en.jsonl",
        "AMC_cn.jsonl",
    )

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        if not request.path.startswith("/api/"):
            super()._get(request)
            return
        entries = [{"type": "file", "path": name, "size": 1, "oid": "0"} for name in self.names]
        body = json.dumps(entries).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def offer(self, fields: dict[str, Any]) -> None:
        self.payload = self.served = json.dumps(fields).encode()
        self.etag, self.size = hashlib.sha256(self.payload).hexdigest(), len(self.payload)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetHub]:
    server = DatasetHub(b"")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.close()


@pytest.mark.parametrize("task", HUB)
def test_a_dataset_is_fetched_once_and_mapped(task: str, hub: DatasetHub) -> None:
    fields, problem = HUB[task]
    hub.offer(fields)
    assert load_problems(task) == (problem,)
    source = TASKS[task].source
    assert source is not None
    paths = [path for path, _ in hub.tokens]
    wanted = "data/202412/AMC_en.jsonl" if task == "livemathbench" else source.file
    assert paths == [f"/datasets/{source.repo}/resolve/{source.revision}/{wanted}"]
    kept = folders.cache_dir() / "datasets" / task / source.revision / wanted
    assert kept.read_bytes() == hub.payload

    hub.status = 500
    assert load_problems(task) == (problem,)
    kept.write_text("{")
    with pytest.raises(UsageError) as caught:
        load_problems(task)
    assert str(kept) in str(caught.value)


@pytest.mark.parametrize(
    ("task", "change", "wrong"),
    [
        ("gsm8k", {"answer": "#### "}, "nothing after ####"),
        ("gsm8k", {"question": None}, "key 'question' cannot be None"),
        ("amc23", {"answer": None}, "key 'answer' cannot be None"),
        ("code", {"test": None}, "key 'test' is missing"),
    ],
)
def test_a_dataset_of_another_shape_is_refused(
    task: str, change: dict[str, Any], wrong: str, hub: DatasetHub
) -> None:
    hub.offer({**HUB[task][0], **change})
    with pytest.raises(UsageError) as caught:
        load_problems(task)
    assert "line 1: " in str(caught.value)
    assert wrong in str(caught.value)


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "answered 404: no such"), (401, "HF_TOKEN"), (500, "answered 500")]
)
def test_what_the_hub_answers_is_said(status: int, reason: str, hub: DatasetHub) -> None:
    hub.status = status
    with pytest.raises(DownloadError) as caught:
        load_problems("math500")
    assert "HuggingFaceH4/MATH-500" in caught.value.what
    assert reason in caught.value.why
    assert "--data FILE" in caught.value.next_step


@pytest.mark.parametrize("task", ["livemathbench", "code"])
def test_without_a_network_the_error_says_so(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(DownloadError, match="cannot be reached"):
            load_problems(task)


def test_what_stands_between_the_hub_and_the_cache_is_named(
    hub: DatasetHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.offer(HUB["gsm8k"][0])
    with monkeypatch.context() as offline:
        offline.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
            load_problems("gsm8k")
    assert hub.requests == []
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DownloadError) as caught:
        load_problems("gsm8k")
    assert str(tmp_path / "file") in caught.value.why


@pytest.mark.parametrize(("answer", "read"), [("#### 5", "5"), ("7", "7"), (7, "7"), (0.5, "0.5")])
def test_a_solution_ends_with_its_answer(answer: object, read: str, hub: DatasetHub) -> None:
    hub.offer({"question": "Two?", "answer": answer})
    assert load_problems("gsm8k")[0].answer == read


def test_a_repository_without_the_file_and_one_too_large(hub: DatasetHub) -> None:
    hub.offer(HUB["gsm8k"][0])
    hub.names = ("README.md",)
    with pytest.raises(DownloadError, match="no such file"):
        load_problems("livemathbench")
    hub.size = problem_files.MAX_FILE_BYTES + 1
    with pytest.raises(DownloadError, match="more than 64 MB"):
        load_problems("gsm8k")
    assert hub.ranges == []

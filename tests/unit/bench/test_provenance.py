from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.bench.provenance import prompt_hash
from ssr_local.method.pools import wordings

POOL = """
name = "mine"
description = "My own"
answer = "boxed"
instruction = "Think, then answer."
[[strategies]]
letter = "A"
name = "one"
advice = "Do one."
"""


@pytest.mark.parametrize(
    "changed",
    [
        POOL.replace("Think", "Reason"),
        POOL.replace("Do one", "Do two"),
        POOL.replace("[[strategies]]", 'typical = ["2 + 2?"]\n[[strategies]]'),
        POOL + '[[examples]]\nproblem = "2 + 2?"\nsolution = "It is 4."\n',
    ],
)
def test_a_text_that_models_are_sent_changes_the_hash(tmp_path: Path, changed: str) -> None:
    hashes = []
    for name, text in (("one", POOL), ("same", POOL), ("other", changed)):
        (tmp_path / name).write_text(text)
        hashes.append(prompt_hash(str(tmp_path / name)))
    assert hashes[0] == hashes[1] != hashes[2]


def test_every_prompt_has_a_hash_of_its_own() -> None:
    names = ["", *wordings()]
    assert len({prompt_hash("maths", name) for name in names}) == len(names)

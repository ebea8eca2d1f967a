from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ssr_local.coordinator.templates import (
    MAX_RENDERED_CHARS,
    RENDER,
    Dialogue,
    Message,
    RenderRequest,
    family_of,
    render_builtin,
)
from ssr_local.core.errors import SSRError
from ssr_local.process.helper import Helper

ASK = (Message("user", " What? "),)
TALK = (
    Message("user", "U"),
    Message("assistant", "A"),
    Message("user", "V"),
)


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    with Helper() as one:
        yield one


def rendered(template: str, helper: Helper, *dialogues: Dialogue) -> list[str]:
    request = RenderRequest(template, "<s>", "</s>", dialogues or (ASK,))
    texts: list[str] = helper.call(RENDER, request, timeout_s=20, type=list[str])
    return texts


# Each family's own published form, written out.
@pytest.mark.parametrize(
    ("family", "token", "asked", "talked"),
    [
        (
            "ChatML",
            "<|im_start|>",
            "<|im_start|>user\n What? <|im_end|>\n<|im_start|>assistant\n",
            "<|im_start|>user\nU<|im_end|>\n"
            "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
        (
            "Llama 3",
            "<|start_header_id|>",
            "<s>"
            "<|start_header_id|>user<|end_header_id|>\n\nWhat?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "<s>"
            "<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "Gemma",
            "<start_of_turn>",
            "<s><start_of_turn>user\nWhat?<end_of_turn>\n<start_of_turn>model\n",
            "<s><start_of_turn>user\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
            "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n",
        ),
        (
            "DeepSeek-R1",
            "<｜User｜>",
            "<s><｜User｜> What? <｜Assistant｜><think>\n",
            "<s><｜User｜>U<｜Assistant｜>A<｜end▁of▁sentence｜><｜User｜>V<｜Assistant｜><think>\n",
        ),
        (
            "plain",
            "<other>",
            "<s>User:  What? \n\nAssistant:",
            "<s>User: U\n\nAssistant: A\n\nUser: V\n\nAssistant:",
        ),
    ],
)
def test_builtin_families(family: str, token: str, asked: str, talked: str) -> None:
    assert family_of(["<unk>", token]) == family
    assert render_builtin(family, [ASK, TALK], "<s>") == [asked, talked]


def test_deepseeks_distils_carry_other_families_tokens_too() -> None:
    assert family_of(["<|im_start|>", "<｜User｜>"]) == "DeepSeek-R1"


def test_a_template_is_given_what_templates_expect(helper: Helper) -> None:
    template = (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{% continue %}"
        "{% endif %}[{{ m.role }}|{{ m.content | trim }}]{% endfor %}"
        "{% if add_generation_prompt %}GO{% endif %}{{ eos_token }}"
        "{% if tools %}TOOLS{% endif %}{% if enable_thinking is defined %}THINK{% endif %}"
    )
    assert rendered(template, helper, ASK, TALK) == [
        "<s>[user|What?]GO</s>",
        "<s>[user|U][assistant|A][user|V]GO</s>",
    ]


def test_blocks_leave_no_white_space_behind(helper: Helper) -> None:
    template = "{% for m in messages %}\n    {% if m %}\n{{ m.content }}{% endif %}\n{% endfor %}\n"
    assert rendered(template, helper) == [" What? "]


def test_the_date_is_a_date(helper: Helper) -> None:
    assert rendered("{{ strftime_now('%Y') }}", helper) == [time.strftime("%Y", time.gmtime())]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('no system turn') }}", "no system turn"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", ""),
        ("{% if %}", ""),
        ("{{ nothing.at.all }}", "undefined"),
        ("{% include '/etc/passwd' %}", ""),
        ("{{ range(10**9) | list }}", "too big"),
        (f"{{{{ 'x' * {MAX_RENDERED_CHARS + 1} }}}}", "too long"),
        ("{% for i in range(99999) %}{{ 'x' * 99 }}{% endfor %}", "too long"),
    ],
)
def test_a_template_that_fails_says_why_and_harms_nothing(
    helper: Helper, template: str, words: str
) -> None:
    assert rendered("ok", helper) == ["ok"]
    pid = helper.pid
    with pytest.raises(SSRError) as caught:
        rendered(template, helper)
    assert words in str(caught.value)
    assert rendered("ok", helper) == ["ok"]
    assert helper.pid == pid


def test_nothing_of_the_machine_can_be_reached(helper: Helper) -> None:
    """What the sandbox hides renders as nothing at all."""
    assert rendered("[{{ ''.__class__ }}{{ self.__init__ }}{{ cycler.__init__ }}]", helper)[0] == (
        "[]"
    )

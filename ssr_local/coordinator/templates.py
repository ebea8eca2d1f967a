"""Chat templates: a model file's own, rendered in a sandbox, or a built-in one.

A template comes out of a downloaded file and is a program. It runs in Jinja's sandbox,
inside the killable helper process, under a time and a length limit; when it fails, the
built-in template of the model's family takes its place and a notice says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

MAX_RENDERED_CHARS = 4_000_000
RENDER_TIMEOUT_S = 5.0
RENDER = f"{__name__}:render_with_jinja"
"""What the helper process is asked for."""


class Message(Struct, frozen=True):
    """One turn: ``role`` is user, assistant, or system for what stands before them."""

    role: str
    content: str


Dialogue = tuple[Message, ...]
"""Messages to render; the assistant's turn is opened after them."""


class RenderRequest(Struct, frozen=True):
    """What the helper process is sent."""

    template: str
    bos_text: str
    eos_text: str
    dialogues: tuple[Dialogue, ...]


def render_with_jinja(request: RenderRequest) -> list[str]:
    """Render each dialogue; runs in the helper process, never in ours."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )

    def refuse(message: str) -> str:
        raise TemplateError(message)

    def today(pattern: str) -> str:
        from datetime import datetime, timezone

        return datetime.now(timezone.utc).strftime(pattern)

    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = today
    template = environment.from_string(request.template)
    texts: list[str] = []
    for dialogue in request.dialogues:
        messages = [{"role": m.role, "content": m.content} for m in dialogue]
        texts.append(
            _bounded(
                template.generate(
                    messages=messages,
                    add_generation_prompt=True,
                    bos_token=request.bos_text,
                    eos_token=request.eos_text,
                    tools=None,
                )
            )
        )
    return texts


def _bounded(pieces: object) -> str:
    text = ""
    for piece in pieces:  # type: ignore[attr-defined]
        text += piece
        if len(text) > MAX_RENDERED_CHARS:
            raise ValueError("the rendered text is too long")
    return text


# Built-in families -----------------------------------------------------------


def _chatml(dialogue: Dialogue, bos: str) -> str:
    turns = "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in dialogue)
    return turns + "<|im_start|>assistant\n"


def _llama3(dialogue: Dialogue, bos: str) -> str:
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    turns = "".join(f"{head.format(m.role)}{m.content.strip()}<|eot_id|>" for m in dialogue)
    return bos + turns + head.format("assistant")


def _gemma(dialogue: Dialogue, bos: str) -> str:
    turns = ""
    for message in dialogue:
        role = "model" if message.role == "assistant" else "user"
        turns += f"<start_of_turn>{role}\n{message.content.strip()}<end_of_turn>\n"
    return bos + turns + "<start_of_turn>model\n"


def _deepseek_r1(dialogue: Dialogue, bos: str) -> str:
    before = {"assistant": "<｜Assistant｜>", "user": "<｜User｜>"}
    after = {"assistant": "<｜end▁of▁sentence｜>"}
    turns = "".join(before[m.role] + m.content + after.get(m.role, "") for m in dialogue)
    return bos + turns + "<｜Assistant｜><think>\n"


def _plain(dialogue: Dialogue, bos: str) -> str:
    turns = "".join(f"{m.role.capitalize()}: {m.content}\n\n" for m in dialogue)
    return bos + turns + "Assistant:"


_FAMILIES: tuple[tuple[str, str, Callable[[Dialogue, str], str]], ...] = (
    # (name, a control token only this family has, renderer)
    ("DeepSeek-R1", "<｜User｜>", _deepseek_r1),
    ("Llama 3", "<|start_header_id|>", _llama3),
    ("Gemma", "<start_of_turn>", _gemma),
    ("ChatML", "<|im_start|>", _chatml),
)


def family_of(special_texts: Sequence[str]) -> str:
    """The built-in family whose control token the vocabulary has; "plain" for none."""
    known = set(special_texts)
    return next((name for name, token, _ in _FAMILIES if token in known), "plain")


def render_builtin(family: str, dialogues: Sequence[Dialogue], bos_text: str) -> list[str]:
    """The dialogues in a built-in family's form."""
    renderer = next((r for name, _, r in _FAMILIES if name == family), _plain)
    return [renderer(_without_system(dialogue), bos_text) for dialogue in dialogues]


def _without_system(dialogue: Dialogue) -> Dialogue:
    """A system message before the user's first: not every family has a turn for it."""
    first, *rest = dialogue
    if first.role != "system":
        return dialogue
    return (Message("user", f"{first.content}\n\n{rest[0].content}"), *rest[1:])

"""Whether a native engine computes what it should with one file on this machine.

Several sequences forked from one prompt and decoded in one batch must write what each
writes alone from scratch; every number must be finite; and the perplexity of a fixed text
must be llama.cpp's. Fast kernels go wrong in exactly these places, and silently.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from itertools import zip_longest

import msgspec
from msgspec import Struct

from ssr_local.engine.base import Engine, EngineConfig, ExtendJob, Sampling, StepJob
from ssr_local.engine.loading import load_engine
from ssr_local.engine.packages import is_installed

SHARED_TOKENS = 16
OWN_LENGTHS = (24, 61, 128, 230)
"""Tokens of prompt after which sequences are compared; the first 16 are shared."""

DECODED_TOKENS = (24, 40)
"""Before and after the end of another path, which leaves gaps between their KV cells."""

MAX_TIE_NATS = 0.25
"""Where two tokens are so nearly as likely, rounding may decide between them."""

MAX_PERPLEXITY_SHARE = 0.01
"""Over the text's 600 tokens rounding alone moves it by 0.3 % (standard error, 1.5B, Q4_K)."""

MAX_TEXT_TOKENS = 700

QUICK_TOKENS = 40
QUICK_LENGTHS = (40, 72)
QUICK_DECODED = (3, 2)
"""What the quick check takes instead: about five seconds with a model of 1.5 B parameters on two
cores. It compares the shorter prompt alone; the others fill more than 128 cells, because ik
0.1.5's flash attention decodes forked sequences wrongly only from there on."""

MAX_QUICK_SHARE = 0.1

_GREEDY = Sampling(temperature=0)

_TEXT = (
    "The harbour of the small town had two cranes, and the older one was painted green. Every"
    " morning before six, the keeper climbed up the ladder, wiped the window of the cabin, and"
    " counted the boats: seventeen in summer, nine or ten once the storms had begun. If a boat"
    " carries 40 crates and the crane lifts 8 crates in 5 minutes, then unloading one boat takes"
    " 40 / 8 * 5 = 25 minutes, and unloading three boats takes 75 minutes, which is an hour and"
    " a quarter. In the year when the bridge was closed, the fishermen decided to share one"
    " cart. They wrote down who owed what: Anna paid 12 coins, Boris paid 7, and Clara, who had"
    " lent the horse, paid nothing at all. def total(coins): return sum(coins) gives 19 for the"
    " list [12, 7, 0]. Nobody remembered later who had suggested the rule that whoever comes"
    " last must sweep the quay, but everybody kept to it. When the lights went out, they told"
    " the children about the whale that had once swum into the canal, turned round twice, and"
    " left again without hurting anyone."
    " First, we find the area of the rectangle. Its length is 12 metres and its width is 5 metres,"
    " so the area is 12 * 5 = 60 square metres. Next, we find the perimeter: 2 * (12 + 5) = 2 * 17"
    " = 34 metres. The diagonal follows from the theorem of Pythagoras: 12 * 12 + 5 * 5 = 144 + 25"
    " = 169, and the square root of 169 is 13, so the diagonal is 13 metres long. A fence costs 4"
    " euros per metre, so a fence around the garden costs 34 * 4 = 136 euros. If half of the area"
    " is planted with grass and one third of the rest with flowers, then 30 square metres are"
    " grass, 10 square metres are flowers, and 20 square metres are left. Let x be the number of"
    " apples. Then 3x + 7 = 22, so 3x = 15, and therefore x = 5. To check the answer, we put it"
    " back into the equation: 3 * 5 + 7 = 15 + 7 = 22, which is correct. The sum of the first n"
    " natural numbers is n(n + 1) / 2. For n = 10 this gives 10 * 11 / 2 = 55. The probability of"
    " rolling a six with a fair die is 1/6, and the probability of rolling two sixes in a row is"
    " 1/6 * 1/6 = 1/36. The answer is 1/36."
)


class SelfCheckResult(Struct, frozen=True, kw_only=True):
    """``difference`` says what was not as it should be, "" when all was.

    ``obstacle`` says why nothing could be found out, "" when it could.
    """

    difference: str = ""
    obstacle: str = ""
    perplexity: float | None = None
    reference: float | None = None
    elapsed_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the engine can be trusted with this file."""
        return not (self.difference or self.obstacle)


class CheckRequest(Struct, frozen=True):
    """An engine to check, and llama.cpp's perplexity of the text with this file if known."""

    config: EngineConfig
    reference: float | None = None


def check(request: CheckRequest) -> SelfCheckResult:
    """Check one engine; to be run in a process of its own, because a library may crash."""
    started = time.monotonic()
    config, reference = request.config, request.reference
    if config.engine != "llama" and is_installed("llama"):
        plain = load_engine(msgspec.structs.replace(config, engine="llama"))
        try:
            reference = perplexity(plain)
        finally:
            plain.close()
    engine = load_engine(config)
    try:
        measured = perplexity(engine)
        difference = perplexity_difference(measured, reference) or fork_difference(engine)
    finally:
        engine.close()
    return SelfCheckResult(
        difference=difference,
        perplexity=measured if math.isfinite(measured) else None,
        reference=reference,
        elapsed_s=time.monotonic() - started,
    )


def quick_check(engine: Engine, reference: float | None) -> str:
    """What is wrong with a loaded engine, "" when nothing shows in a few seconds.

    ``reference`` is llama.cpp's perplexity of the text's first ``QUICK_TOKENS`` tokens.
    """
    measured = perplexity(engine, QUICK_TOKENS)
    found = perplexity_difference(measured, reference, MAX_QUICK_SHARE)
    found = found or fork_difference(engine, QUICK_LENGTHS, QUICK_DECODED, 1)
    engine.clear()
    return found


def perplexity(engine: Engine, num_tokens: int = MAX_TEXT_TOKENS) -> float:
    """Of the fixed text's first tokens; NaN when a number is not finite."""
    engine.clear()
    tokens = engine.tokenize(_TEXT)[:num_tokens]
    seq_id = engine.open(tokens[:1])
    (result,) = engine.extend([ExtendJob(seq_id=seq_id, tokens=tokens[1:], log_probs=True)])
    engine.clear()
    values = result.log_probs or (math.nan,)
    if not all(math.isfinite(value) for value in values):
        return math.nan
    return math.exp(-math.fsum(values) / len(values))


def perplexity_difference(
    measured: float, reference: float | None, max_share: float = MAX_PERPLEXITY_SHARE
) -> str:
    """What is wrong with a perplexity, "" when nothing is."""
    if not math.isfinite(measured):
        return "its log-probabilities are not numbers"
    if reference is None:
        return ""
    if not math.isfinite(reference):
        return "llama.cpp's own log-probabilities are not numbers"
    share = abs(measured / reference - 1)
    if share <= max_share:
        return ""
    return (
        f"the perplexity of a fixed text is {measured:.3f}, with llama.cpp {reference:.3f}"
        f" ({share:.1%} apart)"
    )


def fork_difference(
    engine: Engine,
    lengths: Sequence[int] = OWN_LENGTHS,
    decoded: tuple[int, int] = DECODED_TOKENS,
    num_compared: int = len(OWN_LENGTHS),
) -> str:
    """Where forked, batched sequences write something else than fresh ones, "" nowhere."""
    prompts = _prompts(engine, lengths)
    together = _written_together(engine, prompts, decoded)
    for prompt, written in list(zip(prompts, together, strict=True))[:num_compared]:
        alone = _written_alone(engine, prompt, decoded)
        index = next(
            (at for at, pair in enumerate(zip_longest(written, alone)) if len({*pair}) > 1), None
        )
        if index is None:
            continue
        both = [_tokens_at(engine, tokens, index) for tokens in (alone, written)]
        gap = _gap(engine, [*prompt, *alone[:index]], *both)
        if not gap <= MAX_TIE_NATS:
            return (
                f"after {len(prompt)} tokens of prompt, a sequence forked and decoded with"
                f" {len(prompts)} others left what it writes alone after {index} tokens"
                f" (by {gap:.1f} nats)"
            )
    return ""


def _tokens_at(engine: Engine, tokens: Sequence[int], index: int) -> list[int]:
    """The token at an index; where the text has ended, those that may have ended it."""
    if index < len(tokens):
        return [tokens[index]]
    ends = [engine.tokenize(text, special=True) for text in engine.vocabulary.special_texts]
    return sorted({ids[0] for ids in ends if len(ids) == 1})


def _prompts(engine: Engine, lengths: Sequence[int]) -> list[list[int]]:
    """Prompts that share their beginning; each continues with another part of the text."""
    tokens = engine.tokenize(_TEXT)
    shared = tokens[:SHARED_TOKENS]
    prompts = []
    for index, length in enumerate(lengths):
        start = SHARED_TOKENS + 3 * index
        own = itertools.islice(itertools.cycle(tokens), start, start + length - SHARED_TOKENS)
        prompts.append([*shared, *own])
    return prompts


def _written_together(
    engine: Engine, prompts: Sequence[Sequence[int]], decoded: tuple[int, int]
) -> list[list[int]]:
    engine.clear()
    root = engine.open(prompts[0][:SHARED_TOKENS])
    ended, *forks = [engine.fork(root) for _ in range(len(prompts) + 1)]
    engine.extend(
        [
            ExtendJob(seq_id=fork, tokens=prompt[SHARED_TOKENS:])
            for fork, prompt in zip((ended, *forks), (prompts[1], *prompts), strict=True)
        ]
    )
    before, after = decoded
    going_on = _write(engine, [ended, *forks], before)
    engine.release(ended)
    _write(engine, [fork for fork in forks if fork in going_on], after)
    return [engine.tokens(fork, len(prompt)) for fork, prompt in zip(forks, prompts, strict=True)]


def _written_alone(engine: Engine, prompt: Sequence[int], decoded: tuple[int, int]) -> list[int]:
    engine.clear()
    seq_id = engine.open(prompt)
    for num_tokens in decoded:
        if not _write(engine, [seq_id], num_tokens):
            break
    return engine.tokens(seq_id, len(prompt))


def _write(engine: Engine, seq_ids: Sequence[int], num_tokens: int) -> set[int]:
    """Greedy text on all of them, over the ends of steps; those whose text has not ended."""
    waiting, going_on = set(seq_ids), set(seq_ids)
    left = dict.fromkeys(seq_ids, num_tokens)
    while left:
        engine.start_steps([StepJob(seq_id, left[seq_id], _GREEDY) for seq_id in sorted(waiting)])
        waiting = set()
        for delta in engine.decode_round():
            left[delta.seq_id] -= delta.num_tokens
            if delta.end is None:
                continue
            if delta.end not in ("blank_line", "token_limit"):
                going_on.discard(delta.seq_id)
            if left[delta.seq_id] <= 0 or delta.end != "blank_line":
                del left[delta.seq_id]
            else:
                waiting.add(delta.seq_id)
    return going_on


def _gap(
    engine: Engine, known: Sequence[int], first: Sequence[int], second: Sequence[int]
) -> float:
    """How much likelier, in nats, the first tokens are than the second after known ones."""
    engine.clear()
    seq_id = engine.open(known[:-1])
    (result,) = engine.extend(
        [ExtendJob(seq_id=seq_id, suffix=[known[-1]], candidates=[first, second])]
    )
    if result.probe is None:
        return math.nan
    return abs(result.probe[0] - result.probe[1])

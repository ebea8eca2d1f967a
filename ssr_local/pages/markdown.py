"""An entry of the history as Markdown; what was written is quoted as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ssr_local.core.display import one_line
from ssr_local.core.events import AnyEvent
from ssr_local.history.store import Entry
from ssr_local.pages.foreign import code, harmless, quote
from ssr_local.pages.results import agreement, circumstances, result_of, tree_of
from ssr_local.pages.run_report import as_markdown
from ssr_local.tutoring.checking import CheckResult
from ssr_local.tutoring.hints import Hint
from ssr_local.tutoring.wording import in_words


def markdown_of(entry: Entry, events: Iterable[AnyEvent] = ()) -> str:
    """The entry as Markdown; a run's from its ``events``. Raises ``HistoryError``."""
    title, said = f"{entry.kind} {entry.id}", [harmless(circumstances(entry))]
    if entry.error:
        said.append(harmless(one_line(entry.error)))
    if entry.kind == "run":
        return as_markdown(tree_of(entry, events), title, said, entry.status)
    result = result_of(entry)
    sections = [f"# {title}", *said, quote(entry.problem)]
    if isinstance(result, CheckResult):
        sections += _check(result)
    elif isinstance(result, Hint):
        sections += [f"## Hint of level {result.level}", quote(result.text)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _check(result: CheckResult) -> Iterator[str]:
    for number, step in enumerate(result.steps, 1):
        yield f"**Step {number}**: {harmless(one_line(in_words(step)))}"
        yield quote(step.text)
    yield from (harmless(one_line(notice)) for notice in result.notices)
    if result.answer is None:
        yield "The solution states no answer."
    else:
        yield f"Answer: {code(result.answer)}"
    if result.vote is not None:
        yield f"The models come to {code(result.vote)}{agreement(result)}."
    if result.correction:
        yield "The first wrong step could go like this:"
        yield quote(result.correction)

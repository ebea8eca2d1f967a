"""The models of a pair as the doctor finds them: their files, their headers, their memory.

Nothing is loaded, hashed or fetched here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.coordinator.choosing import known_of, specs_of
from ssr_local.coordinator.room import num_cells
from ssr_local.core import folders
from ssr_local.core.config import Settings
from ssr_local.core.display import one_line
from ssr_local.core.errors import ModelError, SSRError
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.diagnosis import checks
from ssr_local.diagnosis.findings import Book, Finding, State, short
from ssr_local.engine.demo import is_demo
from ssr_local.method.plans import Plan, plan_for
from ssr_local.models.download import LocalModel, known_sha256, local_state, to_fetch
from ssr_local.models.gguf.header import GGUFHeader, estimate_kv_bytes, read_header
from ssr_local.models.models_file import ModelSpec, PairSpec
from ssr_local.models.registry import load_registry, resolve_pair

# A problem of some length under the default pool; the KV cache is sized when the real
# prompts are known.
_PROMPT_TOKENS = 320
_ADVICE_TOKENS = 72
_SELECTION_TOKENS = 1024
_ANY_CONTEXT = 1 << 31


class PairModel(Struct, frozen=True, kw_only=True):
    """A model of the pair before it is loaded; without a sound, whole file no header.

    ``num_cells`` and ``kv_bytes`` are of its KV cache, 0 where the settings in force do not need
    the model; ``kv_bytes`` is 0 without a header, too.
    """

    role: ModelRole
    spec: ModelSpec
    here: LocalModel
    num_cells: int
    header: GGUFHeader | None = None
    kv_bytes: int = 0

    @property
    def needed_bytes(self) -> int:
        """Memory for the file and the KV cache."""
        return (self.header.file_bytes if self.header else 0) + self.kv_bytes

    @property
    def fault(self) -> State:
        """How bad it is when it cannot be used."""
        return _fault(self.num_cells)


class PairFacts(Struct, frozen=True, kw_only=True):
    """A pair, the plan that the settings in force take, the other of problems with formulas, and
    the models, as far as something can be told of them. ``cells`` has the models that are needed.
    """

    pair: PairSpec
    specs: Mapping[ModelRole, ModelSpec]
    plans: tuple[Plan, ...]
    cells: Mapping[ModelRole, int]
    models: tuple[PairModel, ...]

    @property
    def is_verified(self) -> bool:
        """Whether the target verifies what the draft writes."""
        return any(plan.is_verified for plan in self.plans)

    @property
    def needed_bytes(self) -> int | None:
        """Memory for the models that are needed and their KV caches; None when one is not there."""
        there = [one for one in self.models if one.role in self.cells and one.header]
        return sum(one.needed_bytes for one in there) if len(there) == len(self.cells) else None


def _fault(num_cells: int) -> State:
    return "problem" if num_cells else "warning"


def cells_of(options: SolveOptions, ctx: int) -> dict[ModelRole, int]:
    """KV-cache cells of the models that a run needs, for a problem of some length."""
    plan = plan_for(options)
    lengths = {"shared": _PROMPT_TOKENS, "advice": _ADVICE_TOKENS, "selection": _SELECTION_TOKENS}
    return {
        role: ctx or num_cells(plan, options, role, **lengths, context_length=_ANY_CONTEXT)
        for role in plan.roles
    }


def look_at_pair(settings: Settings, book: Book) -> PairFacts | None:
    """The pair and its models; None where there is no such pair."""
    options = settings.engine
    if is_demo(options):
        book.add("models", Finding("pair", "ok", "the demonstration; it needs no models"))
        return None
    try:
        registry = load_registry()
        pair = resolve_pair(registry, pair=options.pair, draft=options.draft, target=options.target)
        specs = specs_of(registry, pair)
        known = known_of(registry, pair, options)
    except SSRError as error:
        book.add_error("pair", error)
        return None
    book.add("models", Finding("pair", "ok", short(pair.name)))
    try:
        both = [known.planned(settings.solve, typeset=one)[0] for one in (False, True)]
        found = [cells_of(planned, options.ctx) for planned in both]
    except SSRError as error:
        book.add_error("plan", error)
        return None
    plans = tuple(dict.fromkeys(plan_for(planned) for planned in both))
    for name, plan in zip(("plan", "plan, formulas"), plans, strict=False):
        book.add("models", Finding(name, "ok", plan.text))
    cells = {role: max(one.get(role, 0) for one in found) for role in (*found[0], *found[1])}
    longest = _PROMPT_TOKENS + _ADVICE_TOKENS + max(planned.max_tokens for planned in both)
    models = [
        _look_at_model(role, specs[role], cells.get(role, 0), longest, book) for role in specs
    ]
    _look_at_disk([specs[role] for role in cells], book)
    return PairFacts(
        pair=pair,
        specs=specs,
        plans=plans,
        cells=cells,
        models=tuple(model for model in models if model is not None),
    )


def _look_at_model(
    role: ModelRole, spec: ModelSpec, num_cells: int, path_tokens: int, book: Book
) -> PairModel | None:
    """What is here of a model; None where not even that can be told."""
    try:
        here = local_state(spec)
        model = PairModel(role=role, spec=spec, here=here, num_cells=num_cells)
        found = checks.model_file(role, spec, here, known_sha256(spec) is not None)
        is_loss = found.state == "problem" and not num_cells
        book.add("models", checks.unneeded(found, role) if is_loss else found)
        return _with_header(model, path_tokens, book) if here.state == "present" else model
    except OSError as error:
        value = f"{short(spec.name)}: {error.strerror}"
        book.add("models", Finding(role, _fault(num_cells), value, "Check the models folder."))
        return None
    except ModelError as error:
        book.add_error(f"{role} file", error, model.fault)
        return model


def _with_header(model: PairModel, path_tokens: int, book: Book) -> PairModel:
    """What the file says of itself. Raises ``ModelError`` before anything is entered."""
    header, role = read_header(model.here.path), model.role
    kv_bytes = estimate_kv_bytes(header, model.num_cells) if model.num_cells else 0
    template = "tokenizer.chat_template"
    num_parameters = model.spec.parameters or header.num_parameters
    kind = (
        f"{header.title}: {one_line(header.architecture, 40)},"
        f" {header.file_type or 'quantisation not known'}, {num_parameters / 1e9:.2f} B parameters"
    )
    book.add("models", Finding(f"{role} kind", "ok", kind))
    if model.num_cells:
        has_template = template in header.metadata or template in header.long_strings
        book.add(
            "models",
            checks.context(role, header.context_length, path_tokens),
            checks.chat_template(role, has_template),
            checks.kv_cache(role, model.num_cells, kv_bytes),
        )
    return replace(model, header=header, kv_bytes=kv_bytes)


def _look_at_disk(specs: Sequence[ModelSpec], book: Book) -> None:
    folder = folders.models_dir()
    try:
        free, missing = shutil.disk_usage(folders.existing(folder)).free, to_fetch(specs).num_bytes
    except OSError:
        return  # the folder's own finding says what is wrong
    book.add("models", checks.disk_space(one_line(str(folder)), free, missing))

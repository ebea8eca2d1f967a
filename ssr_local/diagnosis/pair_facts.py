"""The models of a pair as the doctor finds them: their files, their headers, their memory.

Nothing is loaded, hashed or fetched here.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.coordinator.room import num_cells
from ssr_local.core import folders
from ssr_local.core.config import Settings
from ssr_local.core.display import one_line
from ssr_local.core.errors import ModelError, SSRError
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.diagnosis import checks
from ssr_local.diagnosis.findings import Book, Finding, short
from ssr_local.engine.demo import is_demo
from ssr_local.method.plans import plan_for
from ssr_local.models.download import LocalModel, known_sha256, local_state, to_fetch
from ssr_local.models.gguf.header import GGUFHeader, estimate_kv_bytes, read_header
from ssr_local.models.models_file import ModelSpec, PairSpec
from ssr_local.models.registry import load_registry, resolve_pair

ROLES: tuple[ModelRole, ...] = ("draft", "target")

# A problem of some length under the default pool; the KV cache is sized when the real
# prompts are known.
_PROMPT_TOKENS = 320
_ADVICE_TOKENS = 72
_SELECTION_TOKENS = 1024
_ANY_CONTEXT = 1 << 31


class Cells(Struct, frozen=True):
    """KV-cache cells per model: under the default options, and under those in force."""

    default: int
    own: int


class PairModel(Struct, frozen=True, kw_only=True):
    """A model of the pair before it is loaded; without a sound, whole file no header.

    ``kv_bytes`` and ``default_kv_bytes`` are 0 without a header.
    """

    role: ModelRole
    spec: ModelSpec
    here: LocalModel
    header: GGUFHeader | None = None
    kv_bytes: int = 0
    default_kv_bytes: int = 0

    @property
    def needed_bytes(self) -> int:
        """Memory for the file and the KV cache."""
        return (self.header.file_bytes if self.header else 0) + self.kv_bytes


def cells_of(settings: Settings) -> Cells:
    """How large a run makes its KV caches, for a problem of some length."""
    own = settings.engine.ctx or _num_cells(settings.solve)
    return Cells(default=_num_cells(SolveOptions()), own=own)


def _num_cells(options: SolveOptions) -> int:
    return num_cells(
        plan_for(options),
        options,
        "target",
        shared=_PROMPT_TOKENS,
        advice=_ADVICE_TOKENS,
        selection=_SELECTION_TOKENS,
        context_length=_ANY_CONTEXT,
    )


def look_at_pair(
    settings: Settings, cells: Cells, book: Book
) -> tuple[PairSpec | None, tuple[PairModel, ...]]:
    """The pair and its models; None and nothing where there is no such pair."""
    options = settings.engine
    if is_demo(options):
        book.add("models", Finding("pair", "ok", "the demonstration; it needs no models"))
        return None, ()
    try:
        registry = load_registry()
        pair = resolve_pair(registry, pair=options.pair, draft=options.draft, target=options.target)
        specs = {role: registry.model(getattr(pair, role)) for role in ROLES}
    except SSRError as error:
        book.add_error("pair", error)
        return None, ()
    book.add("models", Finding("pair", "ok", short(pair.name)))
    path_tokens = _PROMPT_TOKENS + _ADVICE_TOKENS + settings.solve.max_tokens
    found = [_look_at_model(role, spec, cells, path_tokens, book) for role, spec in specs.items()]
    _look_at_disk(tuple(specs.values()), book)
    return pair, tuple(model for model in found if model is not None)


def needed_bytes(models: Sequence[PairModel]) -> int | None:
    """Memory for both models and their caches; None when one is not there."""
    if len(models) < len(ROLES) or any(model.header is None for model in models):
        return None
    return sum(model.needed_bytes for model in models)


def _look_at_model(
    role: ModelRole, spec: ModelSpec, cells: Cells, path_tokens: int, book: Book
) -> PairModel | None:
    """What is here of a model; None where not even that can be told."""
    try:
        here = local_state(spec)
        book.add("models", checks.model_file(role, spec, here, known_sha256(spec) is not None))
        model = PairModel(role=role, spec=spec, here=here)
        return _with_header(model, cells, path_tokens, book) if here.state == "present" else model
    except OSError as error:
        value = f"{short(spec.name)}: {error.strerror}"
        book.add("models", Finding(role, "problem", value, "Check the models folder."))
        return None
    except ModelError as error:
        book.add_error(f"{role} file", error)
        return model


def _with_header(model: PairModel, cells: Cells, path_tokens: int, book: Book) -> PairModel:
    """What the file says of itself. Raises ``ModelError`` before anything is entered."""
    header, role = read_header(model.here.path), model.role
    own = estimate_kv_bytes(header, cells.own)
    default = estimate_kv_bytes(header, cells.default)
    template = "tokenizer.chat_template"
    num_parameters = model.spec.parameters or header.num_parameters
    kind = (
        f"{header.title}: {one_line(header.architecture, 40)},"
        f" {header.file_type or 'quantisation not known'}, {num_parameters / 1e9:.2f} B parameters"
    )
    book.add(
        "models",
        Finding(f"{role} kind", "ok", kind),
        checks.context(role, header.context_length, path_tokens),
        checks.chat_template(role, template in header.metadata or template in header.long_strings),
        checks.kv_cache(role, (cells.default, default), (cells.own, own)),
    )
    return replace(model, header=header, kv_bytes=own, default_kv_bytes=default)


def _look_at_disk(specs: Sequence[ModelSpec], book: Book) -> None:
    folder = folders.models_dir()
    try:
        free, missing = shutil.disk_usage(folders.existing(folder)).free, to_fetch(specs).num_bytes
    except OSError:
        return  # the folder's own finding says what is wrong
    book.add("models", checks.disk_space(one_line(str(folder)), free, missing))

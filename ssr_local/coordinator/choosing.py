"""What is known of a pair on this machine when the plan is left to us."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.answers.program_pool import can_run_programs
from ssr_local.core.options import Effort, EngineOptions, SolveOptions, with_changes
from ssr_local.core.records import ModelRole, Profile
from ssr_local.engine.hardware import cpu_name
from ssr_local.engine.speeds import RememberedSpeed, pair_speeds
from ssr_local.method.auto import Choice, choose, choose_after, problems_of
from ssr_local.method.plans import Plan
from ssr_local.method.pools import Pool, load_pool
from ssr_local.method.prediction import Prediction, figures_on, predict
from ssr_local.models.models_file import ModelSpec, PairSpec
from ssr_local.models.registry import Registry


class Known(Struct, frozen=True, kw_only=True):
    """A pair's own profile, the one to follow where it has none, and the speeds of its models as
    far as they were measured here."""

    own: Profile | None
    nearest: Profile | None
    speeds: dict[ModelRole, RememberedSpeed] = {}

    @property
    def figures(self) -> Profile | None:
        """What lengths and agreement of paths are taken from."""
        return self.own or self.nearest

    def choose(
        self, effort: Effort, pool: Pool, *, typeset: bool = False, given: Sequence[str] = ()
    ) -> Choice:
        """The plan for an effort; ``typeset``: on problems with formulas in LaTeX; ``given`` are
        steps that the paths begin with."""
        if given and pool.answer != "code":
            return choose_after(effort, given)
        if not can_run_programs():
            pool = replace(pool, programs=False)
        known = (self.own, self.nearest, self.speeds, cpu_name())
        return choose(effort, pool, *known, typeset=typeset)

    def planned(
        self, options: SolveOptions, *, typeset: bool = False, given: Sequence[str] = ()
    ) -> tuple[SolveOptions, str]:
        """The options with the plan and the budget that they leave to us, and why it was chosen."""
        if not options.leaves_plan:
            return options, ""
        pool = load_pool(options.strategies)
        choice = self.choose(options.effort, pool, typeset=typeset, given=given)
        note = f"Plan {choice.plan} ({options.effort}): {choice.why}."
        usual = SolveOptions()
        if (options.paths, options.mode) != (usual.paths, usual.mode):
            note += (
                " It has its own paths and its own end; --method ssr follows --paths and --mode."
            )
        max_tokens = options.max_tokens or choice.max_tokens or 0
        return with_changes(options, plan=choice.plan, max_tokens=max_tokens), note

    def predict(
        self, plan: Plan, pool: Pool, *, typeset: bool = False, asks: bool = False
    ) -> Prediction | None:
        """What a plan takes here on a pool's usual problems, or those with formulas; None where
        the speed of a model that it needs is not known."""
        if any(role not in self.speeds for role in plan.roles):
            return None
        figures = figures_on(self.figures, problems_of(pool, typeset=typeset))
        return predict(plan, self.speeds, figures, asks=asks)


def known_of(registry: Registry, pair: PairSpec, options: EngineOptions) -> Known:
    """What is known of a pair; other pairs follow the default one's profile."""
    nearest = registry.pairs.get(EngineOptions().pair)
    return Known(
        own=pair.profile,
        nearest=nearest.profile if nearest else None,
        speeds=pair_speeds(specs_of(registry, pair), options),
    )


def specs_of(registry: Registry, pair: PairSpec) -> dict[ModelRole, ModelSpec]:
    """A pair's models. Raises ``ModelNotFoundError``."""
    return {"draft": registry.model(pair.draft), "target": registry.model(pair.target)}

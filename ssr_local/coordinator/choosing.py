"""What is known of a pair on this machine when the plan is left to us."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.answers.program_pool import can_run_programs
from ssr_local.core.options import Effort, EngineOptions
from ssr_local.core.records import ModelRole, Profile
from ssr_local.engine.hardware import cpu_name
from ssr_local.engine.speeds import RememberedSpeed, pair_speeds
from ssr_local.method.auto import Choice, choose, choose_after
from ssr_local.method.plans import Plan
from ssr_local.method.pools import Pool
from ssr_local.method.prediction import Prediction, predict
from ssr_local.method.prompts import is_typeset
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
        self, effort: Effort, pool: Pool, problem: str = "", given: Sequence[str] = ()
    ) -> Choice:
        """The plan for an effort, on a problem and the steps that its paths begin with."""
        if given and pool.answer != "code":
            return choose_after(effort, given)
        if not can_run_programs():
            pool = replace(pool, programs=False)
        typeset = is_typeset(problem)
        known = (self.own, self.nearest, self.speeds, cpu_name())
        return choose(effort, pool, *known, typeset=typeset)

    def predict(self, plan: Plan, *, asks: bool = False) -> Prediction | None:
        """What a plan takes here; None where the speed of a model that it needs is not known."""
        if any(role not in self.speeds for role in plan.roles):
            return None
        return predict(plan, self.speeds, self.figures, asks=asks)


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

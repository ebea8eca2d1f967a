"""What the models do for the tutor: judge steps, and give hints. No widgets.

Models do one thing at a time, so what is wanted next calls off what is under way, and
begins once that has noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.message import Message

from ssr_local import Interrupted, SSRError
from ssr_local.core.display import one_line
from ssr_local.process.helper import Helper
from ssr_local.tutoring.checking import CheckResult, check
from ssr_local.tutoring.hints import LEVELS, Hint, hint
from ssr_local.tutoring.keeping import keep_hint, kept_check
from ssr_local_tui.host import Host

Stop = Callable[[], bool]
Outcome = Callable[[], None]
Work = Callable[[Stop], Outcome]
"""Done in a thread, until it is to stop; the outcome is for the thread that draws."""


class TutorWork:
    """``result`` are the marks of the steps as they were last judged, ``hints`` those there are,
    ``state`` is what goes on or went wrong. Whoever draws them hears by messages."""

    class Changed(Message):
        """There is something else to draw."""

    class Hinted(Changed):
        """A hint has been given."""

    def __init__(self, host: Host, post: Callable[[Message], object]) -> None:
        self._host, self._post = host, post
        self._helper = Helper()
        self._request = 0
        self._wanted: Work | None = None
        self._is_thinking = False
        self.is_working = False
        self.result: CheckResult | None = None
        self.hints: list[Hint] = []
        self.state = ""

    @property
    def level(self) -> int:
        """How far the hints go, 0 before the first."""
        return self.hints[-1].level if self.hints else 0

    def judge(self, problem: str, steps: list[str]) -> None:
        """Mark the steps."""
        self._want(partial(self._judge, problem, steps), "looking at your steps")

    def explain(self, problem: str, steps: list[str]) -> None:
        """Mark the steps, say what is wrong with the first bad one, and save that."""
        self._want(partial(self._explain, problem, steps), "looking for what is wrong")

    def hint(self, problem: str, steps: list[str]) -> None:
        """A hint one level further, unless one is being thought of."""
        if not self._is_thinking:
            level = min(self.level + 1, max(LEVELS))
            work = partial(self._hint, problem, steps, level)
            self._want(work, f"thinking of a hint (level {level})")
            self._is_thinking = True

    def forget(self, *, hints: bool) -> None:
        """The steps are other ones now; with ``hints`` also the one that is being written."""
        self.call_off()
        self.result, self.state = None, ""
        self.hints = [] if hints else self.hints

    def call_off(self) -> None:
        """What is under way is not wanted any more."""
        self._request += 1
        self._is_thinking = False
        self._wanted = None
        if self.is_working:
            self._host.runs.cancel_work()

    def close(self) -> None:
        """Give back what the work holds."""
        self._helper.close()

    def _want(self, work: Work, state: str) -> None:
        self.call_off()
        self._wanted, self.state = work, f"{state} ..."
        self._post(self.Changed())
        if not self.is_working:
            self._begin()

    def _begin(self) -> None:
        work, self._wanted = self._wanted, None
        if work is None:
            return
        self.is_working = True
        request = self._request
        self._host.in_background(
            partial(work, lambda: request != self._request),
            partial(self._done, request),
            lambda error: self._done(request, partial(self._failed, error)),
        )

    def _done(self, request: int, outcome: Outcome) -> None:
        self.is_working = False
        if request == self._request:
            self.state, self._is_thinking = "", False
            outcome()
        self._begin()
        self._post(self.Changed())

    def _failed(self, error: SSRError) -> None:
        if not isinstance(error, Interrupted):
            self.state = one_line(str(error))

    # In a thread -----------------------------------------------------------------------

    def _judge(self, problem: str, steps: list[str], stopped: Stop) -> Outcome:
        return partial(self._marked, self._check(problem, steps, stopped, explain=False)())

    def _explain(self, problem: str, steps: list[str], stopped: Stop) -> Outcome:
        work = self._check(problem, steps, stopped, explain=True)
        with self._host.runs.saving("check", problem, self._host.settings.solve) as saver:
            result = kept_check(saver, work)
            saver.solved(problem, good=result.is_solved)
        return partial(self._marked, result)

    def _check(
        self, problem: str, steps: list[str], stopped: Stop, *, explain: bool
    ) -> Callable[[], CheckResult]:
        self._expect_models()
        return partial(
            check,
            problem,
            steps,
            solver=self._host.runs.solver,
            options=self._host.settings.solve,
            with_vote=False,
            explain=explain,
            helper=self._helper,
            should_stop=stopped,
        )

    def _hint(self, problem: str, steps: list[str], level: int, stopped: Stop) -> Outcome:
        self._expect_models()
        with self._host.runs.saving("hint", problem, self._host.settings.solve) as saver:
            given = hint(
                problem,
                steps,
                level,
                solver=self._host.runs.solver,
                options=self._host.settings.solve,
                helper=self._helper,
                should_stop=stopped,
            )
            keep_hint(saver, given)
        return partial(self._hinted, given)

    def _expect_models(self) -> None:
        missing = self._host.runs.solver.to_fetch(self._host.settings.solve)
        if missing:
            raise SSRError(
                "Models are missing.", f"To be downloaded: {missing}.", "Solve a problem first."
            )

    # And then --------------------------------------------------------------------------

    def _marked(self, result: CheckResult) -> None:
        self.result = result

    def _hinted(self, given: Hint) -> None:
        self.hints.append(given)
        self._post(self.Hinted())

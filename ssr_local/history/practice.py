"""Problems that went wrong, brought back by a spaced schedule (FSRS).

A problem comes into practice when a check finds a wrong step in its solution, and is due
again after a time that grows with every solution that is right.
"""

from __future__ import annotations

from datetime import datetime, timezone

from msgspec import Struct

from ssr_local.core.errors import HistoryError
from ssr_local.history.store import History


class Due(Struct, frozen=True):
    """A problem in practice: when it is due (UTC, ISO 8601) and how often it was solved."""

    number: int
    problem: str
    due: str
    num_reviews: int

    @property
    def is_due(self) -> bool:
        """Whether its time has come."""
        return self.due <= _text(_now())


class Practice:
    """The problems in practice, in the history's file."""

    def __init__(self, history: History) -> None:
        self._history = history

    def problems(self) -> list[Due]:
        """All of them, the one that is due first in front."""
        rows = self._history.rows(
            "SELECT number, problem, due, reviews FROM practice ORDER BY due, number"
        )
        return [Due(*row) for row in rows]

    def problem(self, number: int) -> Due:
        """One of them. Raises ``HistoryError`` when there is none of that number."""
        for one in self.problems():
            if one.number == number:
                return one
        raise HistoryError(
            f"There is no problem {number} in practice.", "", "See: ssr-local practice --list"
        )

    def solved(self, problem: str, *, good: bool, now: datetime | None = None) -> Due | None:
        """Take note of a checked solution; None for a good one of a problem not in practice."""
        from fsrs import Card, Rating, Scheduler

        # Problems are no vocabulary: what was wrong is tried again tomorrow, not in a minute.
        scheduler = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
        with self._history.writing() as database:  # another program may review it, too
            known = database.execute(
                "SELECT card, reviews FROM practice WHERE problem = ?", (problem,)
            ).fetchone()
            if known is None and good:
                return None
            card = Card.from_json(known[0]) if known else Card()
            rating = Rating.Good if good else Rating.Again
            card, _ = scheduler.review_card(card, rating, review_datetime=now or _now())
            reviews = known[1] + 1 if known else 1
            database.execute(
                "INSERT INTO practice (problem, card, due, reviews) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (problem) DO UPDATE SET card = excluded.card, due = excluded.due,"
                " reviews = excluded.reviews",
                (problem, card.to_json(), _text(card.due), reviews),
            )
        return next(one for one in self.problems() if one.problem == problem)

    def drop(self, number: int) -> None:
        """Take a problem out of practice. Raises ``HistoryError`` when it is not in it."""
        self.problem(number)
        with self._history.writing() as database:
            database.execute("DELETE FROM practice WHERE number = ?", (number,))


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")

"""Several runs on the same engines at once: calls that can share a batch wait for each other.

Every run works in a thread of its own on *views* of the engines. A view's decode rounds and
prefills are put off until all runs wait for something; then the kind of call that most
sequences wait for is made once for all of them. So K problems' paths go in one batch, and
the coordinator knows nothing of it. For throughput: a single problem only gets slower. Which
run comes first is up to the system, so the last bits of results are not repeatable here.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from ssr_local.core.records import Author, ModelInfo, ModelUsage
from ssr_local.engine.base import Cancelled, Delta, Engine, Extended, ExtendJob, StepJob, Vocabulary

_T = TypeVar("_T")
_Kind = Literal["extend", "decode", "reserve"]


@dataclass(slots=True)
class _Request:
    """A call that waits for others. ``weight`` is how many sequences it is about."""

    kind: _Kind
    view: EngineView
    weight: int
    jobs: Sequence[ExtendJob] = ()
    num_tokens: int = 0
    result: Any = None
    error: BaseException | None = None
    done: bool = False


class Together:
    """The meeting place of ``num_runs`` runs over the same engines."""

    def __init__(self, engines: Mapping[Author, Engine], num_runs: int) -> None:
        self._engines = engines
        self._meeting = threading.Condition()
        self._working = num_runs
        self._waiting: list[_Request] = []
        self._stopped = False
        self.views: list[dict[Author, EngineView]] = [
            {role: EngineView(engine, self) for role, engine in engines.items()}
            for _ in range(num_runs)
        ]

    def run(self, works: Sequence[Callable[[], _T]]) -> list[_T | BaseException]:
        """Do all the work at once, one callable for each run; what each returned or raised.

        Afterwards the engines are empty.
        """
        results: list[_T | BaseException] = [RuntimeError("not run")] * len(works)

        def work(index: int) -> None:
            try:
                results[index] = works[index]()
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                results[index] = error
            finally:
                self._leave()

        threads = [
            threading.Thread(target=work, args=(index,), name=f"ssr-run-{index}")
            for index in range(len(works))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:  # Ctrl+C reaches this thread alone; or no thread could be started
            self._stop()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            raise
        finally:
            for engine in self._engines.values():
                engine.clear()
        return results

    @property
    def lock(self) -> threading.Condition:
        """Held by whoever uses an engine."""
        return self._meeting

    def meet(self, request: _Request) -> Any:
        """Wait until the call has been made, together with others of its kind."""
        with self._meeting:
            self._waiting.append(request)
            while not request.done:
                if self._stopped:
                    self._waiting.remove(request)
                    raise Cancelled
                if len(self._waiting) == self._working:
                    self._serve()
                    self._meeting.notify_all()
                else:
                    self._meeting.wait()
        if request.error is not None:
            raise request.error
        return request.result

    def _stop(self) -> None:
        with self._meeting:
            self._stopped = True
            self._meeting.notify_all()

    def _leave(self) -> None:
        with self._meeting:
            self._working -= 1
            self._meeting.notify_all()

    def _serve(self) -> None:
        """Make the call that most sequences wait for, for all that wait for it."""
        groups: dict[tuple[_Kind, int], list[_Request]] = defaultdict(list)
        for request in self._waiting:
            groups[request.kind, id(request.view.engine)].append(request)
        served = max(groups.values(), key=lambda group: sum(one.weight for one in group))
        try:
            _CALLS[served[0].kind](served[0].view.engine, served)
        except BaseException as error:  # noqa: BLE001 - each of them has to hear of it
            for request in served:
                request.error = error
            if served[0].kind == "decode":
                _fail_all(served[0].view, error)
        for request in served:
            request.done = True
            self._waiting.remove(request)


def _reserve(engine: Engine, requests: Sequence[_Request]) -> None:
    engine.reserve(sum(request.num_tokens for request in requests))


def _extend(engine: Engine, requests: Sequence[_Request]) -> None:
    results = iter(engine.extend([job for request in requests for job in request.jobs]))
    for request in requests:
        request.result = [next(results) for _ in request.jobs]


def _decode(engine: Engine, requests: Sequence[_Request]) -> None:
    """One round for every running sequence; who does not wait for it finds it later."""
    owners = requests[0].view.owners
    for delta in engine.decode_round():
        owners[delta.seq_id].arrived.append(delta)
    for request in requests:
        request.result = request.view.take_arrived()


def _fail_all(view: EngineView, error: BaseException) -> None:
    """A round that failed failed for every running sequence, also those nobody waits for."""
    for other in set(view.owners.values()):
        if other.is_running:
            other.failure = error


_CALLS: dict[_Kind, Callable[[Engine, Sequence[_Request]], None]] = {
    "reserve": _reserve,
    "extend": _extend,
    "decode": _decode,
}


class EngineView:
    """The engine protocol for one run among several; its sequences and usage are its own."""

    def __init__(self, engine: Engine, together: Together) -> None:
        self.engine = engine
        self.arrived: list[Delta] = []
        self.failure: BaseException | None = None
        self._together = together
        self._own: set[int] = set()
        self._running: set[int] = set()
        self._prefilled = self._decoded = 0

    @property
    def owners(self) -> dict[int, EngineView]:
        """Whose each open sequence of this engine is."""
        views = [view for views in self._together.views for view in views.values()]
        return {
            seq_id: view for view in views if view.engine is self.engine for seq_id in view._own
        }

    @property
    def is_running(self) -> bool:
        """Whether a sequence of this run is in the running batch."""
        return bool(self._running)

    @property
    def info(self) -> ModelInfo:
        return self.engine.info

    @property
    def vocabulary(self) -> Vocabulary:
        return self.engine.vocabulary

    @property
    def chat_template(self) -> str | None:
        return self.engine.chat_template

    @property
    def notes(self) -> tuple[str, ...]:
        return self.engine.notes

    @property
    def max_sequences(self) -> int:
        return self.engine.max_sequences

    @property
    def context_length(self) -> int:
        return self.engine.context_length

    @property
    def max_tokens(self) -> int:
        return self.engine.max_tokens

    def reserve(self, num_tokens: int) -> None:
        """Room for all the runs that reserve at the same time, before any has a sequence."""
        self._together.meet(_Request("reserve", self, 1_000_000, num_tokens=num_tokens))

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        with self._together.lock:
            return self.engine.tokenize(text, special=special)

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        with self._together.lock:
            return self.engine.pieces(tokens)

    def open(self, tokens: Sequence[int]) -> int:
        with self._together.lock:
            seq_id = self.engine.open(tokens)
            self._prefilled += len(tokens)
            return self._mine(seq_id)

    def fork(self, seq_id: int) -> int:
        with self._together.lock:
            return self._mine(self.engine.fork(seq_id))

    def num_tokens(self, seq_id: int) -> int:
        with self._together.lock:
            return self.engine.num_tokens(seq_id)

    def tokens(self, seq_id: int, start: int = 0) -> list[int]:
        with self._together.lock:
            return self.engine.tokens(seq_id, start)

    def extend(self, jobs: Sequence[ExtendJob]) -> list[Extended]:
        results: list[Extended] = self._together.meet(_Request("extend", self, len(jobs), jobs))
        for job, result in zip(jobs, results, strict=True):
            if not result.no_room:
                self._prefilled += len(job.tokens) + len(job.suffix)
        return results

    def start_steps(self, jobs: Sequence[StepJob]) -> None:
        with self._together.lock:
            self.engine.start_steps(jobs)
            self._running.update(job.seq_id for job in jobs)

    def stop_step(self, seq_id: int) -> None:
        with self._together.lock:
            self.engine.stop_step(seq_id)
            self._forget(seq_id)

    def decode_round(self) -> list[Delta]:
        with self._together.lock:
            if self.arrived:
                return self.take_arrived()
            if self.failure is not None:
                raise self.failure
        deltas: list[Delta] = self._together.meet(_Request("decode", self, len(self._running)))
        return deltas

    def take_arrived(self) -> list[Delta]:
        """What has been decoded for this run since it last looked."""
        deltas, self.arrived = self.arrived, []
        self._decoded += sum(delta.num_tokens for delta in deltas)
        self._running -= {delta.seq_id for delta in deltas if delta.end is not None}
        return deltas

    def truncate(self, seq_id: int, num_tokens: int) -> None:
        with self._together.lock:
            self.engine.truncate(seq_id, num_tokens)

    def release(self, seq_id: int) -> None:
        with self._together.lock:
            self.engine.release(seq_id)
            self._forget(seq_id)
            self._own.discard(seq_id)

    def clear(self) -> None:
        """Release this run's sequences; those of the others stay."""
        for seq_id in list(self._own):
            self.release(seq_id)
        self._prefilled = self._decoded = 0

    def usage(self) -> ModelUsage:
        return ModelUsage(self._prefilled, self._decoded, self.info.num_parameters)

    def close(self) -> None:
        self.clear()

    def _mine(self, seq_id: int) -> int:
        self._own.add(seq_id)
        return seq_id

    def _forget(self, seq_id: int) -> None:
        """What was decoded ahead for a sequence that has been stopped is work for nothing."""
        self._running.discard(seq_id)
        self._decoded += sum(delta.num_tokens for delta in self.arrived if delta.seq_id == seq_id)
        self.arrived = [delta for delta in self.arrived if delta.seq_id != seq_id]

"""An error of ours as a message between processes."""

from __future__ import annotations

from msgspec import Struct

from ssr_local.core import errors
from ssr_local.core.errors import SSRError


class Failed(Struct, frozen=True):
    """An error of the tree in ``core.errors``, by the name of its class."""

    kind: str
    what: str
    why: str
    next_step: str

    @classmethod
    def of(cls, error: SSRError) -> Failed:
        """The error as a message."""
        return cls(type(error).__name__, error.what, error.why, error.next_step)

    def error(self) -> SSRError:
        """The message as the error it was."""
        kind = getattr(errors, self.kind, SSRError)
        if not (isinstance(kind, type) and issubclass(kind, SSRError)):
            kind = SSRError
        return kind(self.what, self.why, self.next_step)

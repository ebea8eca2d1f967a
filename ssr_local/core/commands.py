"""What a running solve can be told to do. The coordinator looks at them between rounds."""

from __future__ import annotations

import msgspec


class Command(msgspec.Struct, frozen=True, tag_field="command"):
    """Base of all commands."""


class Cancel(Command, frozen=True, tag=True):
    """Stop now; what there is becomes the result."""


class Pause(Command, frozen=True, tag=True):
    """Stand still between two rounds."""


class Resume(Command, frozen=True, tag=True):
    """Go on after a pause."""


class DropPath(Command, frozen=True, tag=True):
    """End one path; it has no vote."""

    path: int


class AddPath(Command, frozen=True, tag=True):
    """Open one more path on a strategy of the pool; "M" for no advice."""

    letter: str


class OverrideVerdict(Command, frozen=True, tag=True):
    """Keep or reject the step verified last on a path, whatever the target said."""

    path: int
    accept: bool


AnyCommand = Cancel | Pause | Resume | DropPath | AddPath | OverrideVerdict

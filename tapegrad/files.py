"""Writing files atomically: a file is complete, or it is as it was before, whenever the process or the machine stops.

Where the system can (Linux), the bytes are written to a file without a name, which vanishes with the process; it gets one when
it is complete. Elsewhere they are written under a temporary name, .. .part, and a process that is killed leaves that behind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import IO


def _sync_folder(folder: str) -> None:
    with suppress(OSError):                             # not every system opens a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _nameless(folder: str) -> int | None:
    """A file in the folder that has no name yet, if there can be one, and if it can get one: see _name."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666) if os.path.isdir("/proc/self/fd") else None
    except (AttributeError, OSError):
        return None


def _name(handle: int, path: str) -> None:
    """Give a nameless file a name: that of its descriptor in /proc is linked to, as open(2) says of O_TMPFILE (the other way
    that Linux has takes a capability). os.link follows that name only if it is given the descriptor of a folder."""
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.link(f"/proc/self/fd/{handle}", os.path.basename(path), dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """`with replacing(path) as file:` the binary `file` replaces `path` at the end, unless an exception is raised.

    Where that is a link, the file that it leads to.
    """
    path = os.path.realpath(os.fsdecode(path))
    folder, temporary = os.path.dirname(path), f"{path}.{token_hex(4)}.part"
    handle = nameless = _nameless(folder)
    if handle is None:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f"{os.path.basename(path)}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())                     # else the name may be on the disk before the bytes are
            if nameless is not None:
                _name(handle, temporary)
        if nameless is None:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)          # mkstemp creates files readable by the owner only
        os.replace(temporary, path)
        _sync_folder(folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise

"""Writing files atomically: a file is complete, or it is not there."""

import os
import tempfile
from contextlib import contextmanager, suppress


@contextmanager
def replacing(path):
    """`with replacing(path) as file:` the binary `file` replaces `path` at the end, unless an exception is raised."""
    path = os.fspath(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f"{os.path.basename(path)}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)              # mkstemp creates files readable by the owner only
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise

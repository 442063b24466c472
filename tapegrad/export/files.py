"""Files that are there whole or not at all."""

import os
import tempfile
from contextlib import contextmanager, suppress


@contextmanager
def replacing(path):
    """`with replacing(path) as file:` what is written to the binary `file` takes the place of `path` at the end."""
    path = os.fspath(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f"{os.path.basename(path)}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)              # mkstemp's files are for the owner only
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise

"""A checksum of all source files of kernels/, for the names of cached kernels: numba checks only the file that defines one."""

import zlib
from pathlib import Path

CHECKSUM = f"{zlib.crc32(b''.join([file.read_bytes() for file in sorted(Path(__file__).parent.rglob('*.py'))])):08x}"

"""Machine code of LLVM's modules, for this processor, and a cache of it on disk.

The cache is one of files, in numba's folders: that of NUMBA_CACHE_DIR, or else `__pycache__` beside this file, or else the
user's. A file is named after all that its code depends on, is written in one step, and begins with a checksum: one that is
broken is compiled anew. Where none can be written, each process compiles.
"""

import hashlib
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm

from tapegrad.kernels.checksum import CHECKSUM

CHECKED = 32            # bytes of a file before the code: their sha256
_held = []              # object files that the engine has: they are to stay


def _folders():
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(given) / "tapegrad"]
    users = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/.cache")
    return [Path(__file__).parent / "__pycache__", Path(users) / "tapegrad"]


@cache
def processor():
    """(name, features), as numba compiles for them: its variables may say others."""
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    return name, llvm.get_host_cpu_features().flatten() if features is None else features


def _target():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = processor()
    reloc = "static" if platform.machine().lower() in ("x86_64", "amd64") else "default"
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        name, features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True)


@cache
def _engine():
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())


def _compiled(module):
    """The object file of a module (of llvmlite.ir), optimised."""
    machine = _target()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    missing = [function.name for function in parsed.functions if function.is_declaration
               and not function.name.startswith("llvm.") and llvm.address_of_symbol(function.name) is None]
    if missing:                                         # LLVM's linker would end the process
        raise RuntimeError(f"the C library has no {', '.join(missing)}")
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)


def address(key, make):
    """The address of the function `name` of a module, make(name), which depends on nothing but the key and kernels/."""
    known = CHECKSUM, llvm.llvm_version_info, llvm.get_process_triple(), processor(), key
    digest = hashlib.sha256(repr(known).encode()).hexdigest()[:32]
    name = f"tapegrad_{digest}"
    code = _read(name)
    if code is None:
        code = _compiled(make(name))
        _write(name, code)
    engine, held = _engine(), llvm.ObjectFileRef.from_data(code)
    engine.add_object_file(held)
    engine.finalize_object()
    _held.append(held)
    return engine.get_function_address(name)


def _read(name):
    for folder in _folders():
        try:
            held = (folder / f"{name}.o").read_bytes()
        except OSError:
            continue
        if hashlib.sha256(held[CHECKED:]).digest() == held[:CHECKED]:
            return held[CHECKED:]
    return None


def _write(name, code):
    for folder in _folders():
        part = folder / f"{name}-{os.getpid()}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(hashlib.sha256(code).digest() + code)
            part.replace(folder / f"{name}.o")
            return
        except OSError:                                 # read-only, or full
            with suppress(OSError):
                part.unlink(missing_ok=True)

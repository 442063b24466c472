"""Wengert lists as compiled functions: values and deltas in one program."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tapegrad.compiler import Compiled
from tapegrad.core.record import recorded
from tapegrad.core.tape import enable_grad
from tapegrad.functions.tensor import Tensor
from tapegrad.graph.reverse import delta_dtype
from tapegrad.transforms.autograd import deltas
from tapegrad.wengert.evaluation import Entries, backprop, eval
from tapegrad.wengert.program import Program, signature, zeros


def compile(f: Entries) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """A callable val -> (eval(f, val), backprop(f, val)), which is recorded once for shapes and dtypes, and then replayed.

    f   [(z, g, (y1, .., yk)), ..]

    The callable also takes seed=, the delta of the last entry's z. It raises what eval and backprop raise.

    >>> from tapegrad import wengert
    >>> both = wengert.compile([("z1", "add", ("x", "x")), ("f", "square", ("z1",))])
    >>> val, delta = both({"x": 3.0})
    >>> float(val["f"]), float(delta["x"])
    (36.0, 24.0)
    """
    return CompiledList(f)


class CompiledList:
    """What `compile` makes of a list. The first call of a signature compares it with eval and backprop."""

    def __init__(self, f: Entries) -> None:
        self.f = list(f)
        self.program: Any = Program(self.f)
        self.both = Compiled(self._both, "silent", None)
        self.agrees: dict[Any, bool] = {}

    def __call__(self, val: Mapping[str, Any], seed: Any = 1.0) -> tuple[dict[str, Any], dict[str, Any]]:
        operands, others = {}, {}
        for name, (_, is_operand) in self.program.inputs.items():
            x = val.get(name)
            is_number = is_operand and (isinstance(x, (Tensor, np.ndarray, np.generic)) or type(x) in (int, float))
            (operands if is_number else others)[name] = x
        arrays = self._arrays(operands)
        key = tuple(signature([*arrays.values(), np.asarray(seed)])), repr(others), tuple(operands)
        agrees = self.agrees.get(key)
        if agrees:
            z, found = self.both(arrays, others, np.asarray(seed))
            return dict(val) | _plain(z), _plain(found)
        values = eval(self.f, val)
        expected = values, backprop(self.f, values, seed=seed)
        if agrees is None:
            self.agrees[key] = self._compare(arrays, others, seed, expected)
        return expected

    def _arrays(self, operands: dict[str, Any]) -> dict[str, Any]:
        """Operands as arrays: numbers in the precision of the arrays, as NumPy takes them."""
        kinds = {x.dtype for x in operands.values() if hasattr(x, "dtype") and x.dtype.kind in "fc"}
        kind = kinds.pop() if len(kinds) == 1 else None
        return {name: x._value if isinstance(x, Tensor) else np.asarray(x, kind if type(x) is float else None)
                for name, x in operands.items()}

    def _compare(self, arrays: Any, others: Any, seed: Any, expected: Any) -> bool:
        try:
            z, found = self.both(arrays, others, np.asarray(seed))
        except Exception:
            return False
        return all([name in expected[k] and _close(x, expected[k][name])
                    for k, some in enumerate((_plain(z), _plain(found))) for name, x in some.items()])

    def _both(self, operands: dict[str, Any], others: dict[str, Any], seed: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """({z: value}, {name: delta}), as tensors."""
        program = self.program
        with enable_grad():
            held = program.blank.copy()
            leaves = {name: Tensor(x, requires_grad=x.dtype.kind in "fc") for name, x in operands.items()}
            for name, x in (*others.items(), *leaves.items()):
                held[program.slots[name]] = x
            for step in program.steps:
                arguments = [held[i] for i in step.ys]
                if step.row is not None:
                    z = recorded.__getattr__(step.row.name)(*arguments)
                else:
                    z = step.tensor(arguments, [held[i] for i in step.keys.values()])
                held[step.slot] = z
            results = {z: held[slot] for z, slot in program.results}
            wanted = {**results, **leaves}
            on_tape = [x for x in wanted.values() if x._register is not None]
            start = recorded.astype(recorded.broadcast_to(seed, z.shape), delta_dtype(z.dtype))
            found = deltas([z], [start], [x._register for x in on_tape]) if z._register is not None else []
        by_tensor = dict(zip(map(id, on_tape), found))
        return ({name: x.detach() for name, x in results.items()},
                {name: zeros(x) if by_tensor.get(id(x)) is None else Tensor(by_tensor[id(x)]) for name, x in wanted.items()})


def _plain(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: x._value if isinstance(x, Tensor) else x for name, x in tensors.items()}


def _close(x: Any, y: Any) -> bool:
    x, y = np.asarray(x), np.asarray(y)
    rtol = 1e-4 if np.finfo(np.result_type(x, np.float16)).eps > 1e-12 else 1e-10
    return x.shape == y.shape and x.dtype == y.dtype and np.allclose(
        x, y, rtol=rtol, atol=rtol * np.max(np.abs(y), initial=0, where=np.isfinite(y)), equal_nan=True)

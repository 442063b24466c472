"""What runs a program: a list of steps, each a tuple of its kind and its arguments, among them names and nothing but literals.

Tensors and arrays have names; an operand is a name or a number. What a step touches is observed after it, so that the logs of
two machines can be compared. The body of a function that a step differentiates is a list of steps, too: its arguments are
a0, a1, .. and its result is what its last step names.
"""

from contextlib import contextmanager

import numpy as np

BLOCKS = "no_grad", "enable_grad", "traced", "thread"


class Escape(Exception):
    """Raised in the middle of a program: by the step ("raise",), which leaves the block or the body, and by hooks."""


class Machine:
    """names: {name: what it stands for}; log: an observation per step, {"outcome": "ok" or kinds of errors, what: value}."""

    def __init__(self):
        self.names, self.log, self.seen = {}, [], {}

    def run(self, steps):
        for step in steps:
            if step[0] in BLOCKS:
                self.block(*step)
            elif step[0] == "raise":
                raise Escape
            else:
                self.perform(step)

    def block(self, kind, steps):
        try:
            with self.entered(kind):
                self.run(steps)
        except Escape:
            pass

    def perform(self, step):
        """One step, observed."""
        kind, *arguments = step
        self.seen, outcome = {}, {"ok"}
        try:
            getattr(self, kind)(*arguments)
        except Exception as error:
            outcome = self.refused(error)
        touched = [name for name in arguments if isinstance(name, str) and name in self.names]
        touched += [name for names in arguments if isinstance(names, list) for name in names if isinstance(name, str)]
        self.log.append({"outcome": outcome, **self.seen, **self.observed(touched)})

    def observed(self, touched):
        found = {}
        for name in touched:
            if name in self.names and (value := self.look(self.names[name])) is not None:
                found.update({f"{name}{part}": x for part, x in value.items()})
        return found

    def finish(self):
        """The observation of everything, at the end."""
        self.log.append({"outcome": {"ok"}, **self.observed(list(self.names))})
        self.names = {}                                 # of which functions are part that hold the machine
        return self.log

    def function(self, body):
        """The function that a body is, which reads what its names stand for now."""
        captured = dict(self.names)

        def function(*arguments):
            before, self.names = self.names, {**captured, **{f"a{i}": x for i, x in enumerate(arguments)}}
            try:
                self.carry_out(body)
                return self.names[body[-1][1]]
            finally:
                self.names = before

        return function

    def carry_out(self, body):
        for kind, *step in body:
            if kind == "raise":
                raise Escape
            if kind in BLOCKS:
                with self.entered(kind):
                    self.carry_out(step[0])
            else:
                getattr(self, kind)(*step)

    def operand(self, x):
        return self.names[x] if isinstance(x, str) else np.array(x) if isinstance(x, list) else x

    @contextmanager
    def entered(self, kind):
        raise NotImplementedError
        yield

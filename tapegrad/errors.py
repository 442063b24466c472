"""The errors of tapegrad.

Each is a subclass of the built-in class that a NumPy user would catch, and is raised at the call that is wrong, with the
operation, the shapes and dtypes, and what to do.
"""


class ShapeError(ValueError):
    """The shapes of an operation's operands do not fit together."""


class DtypeError(TypeError):
    """A dtype that the operation, or a gradient, cannot have."""


class GradientError(RuntimeError):
    """A gradient was asked for where there is none to be had."""


class ConsumedTapeError(GradientError):
    """backward() reached entries that an earlier backward() has consumed."""


class ThreadError(GradientError):
    """A tensor recorded on one thread's tape was used for a gradient on another's."""


class GradcheckError(GradientError):
    """A derivative that does not agree with central differences."""


class WengertError(ValueError):
    """A Wengert list, or the text or the formula of one, that can't be read, evaluated or differentiated."""


class AnomalyError(FloatingPointError):
    """A value or a delta that is NaN or infinite, inside detect_anomaly()."""


def describe(value):
    """`float32 (3, 4)` for a tensor or an array, `2.5` for a Python number."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} {tuple(value.shape)}"
    return repr(value) if isinstance(value, (bool, int, float, complex)) else type(value).__name__


def failed_call(name, operands, error, static=()):
    """The error to raise instead of NumPy's own when operation `name` fails on `operands`: same class, more said."""
    kind = ShapeError if type(error) is ValueError else DtypeError if isinstance(error, TypeError) else type(error)
    given = ", ".join([describe(operand) for operand in operands] + [repr(argument) for argument in static])
    return kind(f"{name}({given}): {error}")

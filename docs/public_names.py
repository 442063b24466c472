"""The public names of tapegrad, and the page of the reference that each has: what the reference and its tests are made from."""

import inspect
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import tapegrad as tg

MODULES = [name for name in tg.MODULES if name not in ("scipy", "numpy", "compat")]
COMPAT = ["compat.autograd", *[f"compat.autograd.{name}" for name in ("extend", "misc", "misc.optimizers", "test_util")]]
PLACES = {"tg": tg} | {f"tg.{name}": getattr(tg, name) for name in (*MODULES, "numpy")}
PLACES |= {"tg.nn.init": tg.nn.init, "tg.nn.utils": tg.nn.utils, "tg.optim.lr_scheduler": tg.optim.lr_scheduler}
PLACES |= {f"tg.{name}": import_module(f"tapegrad.{name}") for name in COMPAT}
if find_spec("scipy"):
    PLACES |= {f"tg.scipy.{name}": getattr(tg.scipy, name) for name in tg.scipy.__all__}


def names_of(place):
    """A module's public names; those of tapegrad itself are what it lists."""
    return [name for name in (dir(place) if place is tg else place.__all__) if not name.startswith("_")]


def is_of_tapegrad(value):
    return (getattr(value, "__module__", None) or "").startswith("tapegrad")


def is_ours(value):
    """Whether it is a function or class of tapegrad; NumPy's and SciPy's, where there is nothing to add, have their own
    text."""
    if not callable(value) or not is_of_tapegrad(value):
        return False
    wrapped = inspect.unwrap(value, stop=lambda x: not is_of_tapegrad(x))
    return is_of_tapegrad(wrapped) or value.__doc__ != wrapped.__doc__


PUBLIC = {f"{where}.{name}": getattr(place, name) for where, place in PLACES.items() for name in names_of(place)
          if is_ours(getattr(place, name))}


@dataclass
class Page:
    """A page of the reference: an introduction, what is true of all its names, and an entry for each."""

    slug: str
    title: str
    intro: str
    names: list[str] = field(default_factory=list)


# What is true of all names of a page, where the docstring of its module does not say it; and a bad call, whose error is shown.
MORE = {
    "reductions": "Positions, as argmax and argmin give them, are constants, without a derivative.",
    "pooling": "Derivative: of a maximum, the delta goes to the element that was taken; of a mean, to all elements of the "
               "window, divided by their number.",
    "shaping": "Derivative: each element of the delta goes back to where the element came from; one that was repeated gets "
               "the sum.",
    "nn.init": "Nothing is recorded: initial values have no derivative.",
    "tensor": "A tensor has the shape and dtype of its array, and its gradient has the same. DtypeError for a gradient of "
              "what is not a float, GradientError for backward() of a result that is not a scalar, ConsumedTapeError for a "
              "second one.",
    "derivatives": "A gradient has the structure, shapes and dtypes of its argument. GradientError where a gradient does not "
                   "exist, or where the function does not return a scalar.",
    "compile": "Results have the shapes and dtypes that the function itself gives. With fallback=\"error\", CompileError for "
               "what can't be replayed.",
    "seeing": "Every view has the shapes and dtypes of values. GradientError where the tape does not know any more what is "
              "asked, AnomalyError where detect_anomaly finds a NaN or an infinity.",
    "keeping": "Arrays come back with their shapes and dtypes, bit for bit. WengertError for a file that is no tape, "
               "StateError for one that is no run, or that does not fit.",
    "configuration": "These are settings of the process, without shapes. ValueError for a number of threads that is none.",
    "constants": "Their derivative is 0 wherever there is one: results are constants. Shapes are NumPy's. ShapeError for "
                 "operands that do not fit, AxisError for an axis that is not there.",
    "statistics": "cov(m) = X X^H / (n - ddof) with X = m - mean(m), corrcoef = C_ij / sqrt(C_ii C_jj). Variables are rows, "
                  "(n, observations). ShapeError for more than two axes.",
    "complex_parts": "Elementwise: the result has the shape of the operand. DtypeError for what is neither a tensor nor "
                     "numbers.",
    "joining": "Derivative: each operand gets the part of the delta that stands in its place; what is taken apart gets the "
               "deltas of its parts, and 0 where there is none. Operands that are joined have one shape but for the axis that "
               "they are joined along; ShapeError where they have not, and for an axis that is not there.",
    "applying": "Derivatives are those of the functions that are applied and composed; what is left out has the derivative 0. "
                "The result has the shape that NumPy gives it. ShapeError for an axis that is not there and for operands that "
                "do not fit, DtypeError for what is neither a tensor nor numbers.",
    "creation": "The shape is that which is asked for, or that of the data. DtypeError for data that are no numbers, and for "
                "a gradient of what is not a float; ValueError for a negative length.",
    "selecting": "Derivative: the delta goes to the elements that were chosen, and 0 to the others. Positions, as nonzero "
                 "gives them, are constants. The result has the shape that NumPy gives it. ShapeError for an axis that is not "
                 "there, IndexError for a position that is not there.",
    "writing": "What is written is broadcast to the shape of the place that it is written to.",
    "random": "They have no derivative. The shape is given as numbers or as a tuple. ShapeError for a negative length, "
              "ValueError for probabilities and bounds that are none.",
    "distances": "Vectors lie along the last axis, (.., M). ShapeError where their lengths differ.",
    "likelihoods": "Input, target and variance have one shape, or one that is broadcast to it; ShapeError where they do not "
                   "fit.",
    "cumulative": "cumsum(x)_i = x_0 + .. + x_i, cumprod(x)_i = x_0 * .. * x_i, diff(x)_i = x_(i+1) - x_i; the derivatives "
                  "are sums from the other end. The result has the shape of the operand, but for what differences leave out. "
                  "ShapeError for an axis that is not there, ValueError for a negative number of differences.",
    "indexing": "The result has the shape that NumPy's indexing gives. IndexError for a position or an axis that is not "
                "there, ShapeError for values that do not fit the place.",
    "interpolation": "Points and samples are vectors of one length, shape (n,); the result has the shape of x. ShapeError "
                     "where the lengths differ.",
    "nan_reductions": "ShapeError for an axis that is not there.",
    "polynomials": "Coefficients have the shape (n,); polyval has that of its points.",
    "linalg": "Matrices are the last two axes, (.., m, n); those before them are a stack. ShapeError for other shapes.",
    "nn": "Formulas and derivatives are those of the functions that a module calls: nn.ReLU's are those of tg.relu. Shapes "
          "and layouts are PyTorch's: a batch comes first, (N, features) or (N, channels, length ..). ShapeError where an "
          "input does not fit a module's parameters, ValueError for other arguments.",
    "nn.utils": "parameters_to_vector(p) = concatenate([p_0.ravel(), ..]). A vector has the elements of all parameters, shape "
                "(n,). ShapeError for one of another length.",
    "optim": "What is moved keeps its shape and dtype. TypeError for parameters that are no tensors, ValueError for a "
             "hyperparameter that is not allowed.",
    "optim.lr_scheduler": "Rates are numbers, without a shape, one per group of parameters. TypeError for what is no "
                          "optimiser, ValueError for numbers that are not allowed.",
    "data": "All arrays of a dataset have one length, the first axis, shape (n, ..). ShapeError where they have not.",
    "distributed": "Arrays have the same shapes and dtypes on every rank. TypeError for what can't be shared, "
                   "DistributedError where ranks differ or one has ended.",
    "wengert": "Values have the shapes and dtypes that the operators give; a delta has the shape of its value. WengertError, "
               "with the entry, for a list that is none.",
    "xman": "Registers have no shape: the values have, when a list is evaluated. WengertError for what is no register.",
    "autograd": "A gradient has the shape and dtype of its input. GradientError for an input that no output depends on.",
    "compat.autograd": "Arguments are arrays, numbers, and dicts, lists and tuples of them; a gradient has the structure and "
                       "the shapes of the argument that it is by. TypeError where a real number is needed and fun returns "
                       "something else, NotImplementedError for a primitive without a derivative.",
    "compat.autograd.extend": "A vjp gets and gives arrays: g has the shape of the value, and what it gives that of the "
                              "argument, or one that is broadcast to it. NotImplementedError where a derivative is asked for "
                              "that was not defined.",
    "compat.autograd.misc": "A vector has the shape (n,), with the numbers of all arrays of a structure. Derivatives go "
                            "through. ShapeError for a vector of another length.",
    "compat.autograd.misc.optimizers": "x has any shape, or is a structure of arrays; grad(x, i) has the same. Whatever grad "
                                       "raises is raised, ValueError where its shape does not fit x.",
    "compat.autograd.test_util": "Arguments and values have any shape, or are structures of arrays; derivatives in random "
                                 "directions are compared with differences.",
    "scipy.special": "Operands are broadcast against each other; the result has the shape that they have together.",
    "scipy.stats": "Values and parameters are broadcast against each other; ShapeError where they cannot be.",
    "scipy.linalg": "Derivatives are those of the functions of these names in tapegrad.linalg, and go through the elements "
                    "that a matrix is made of. A matrix has the shape (n, n) or (m, n). ShapeError for shapes that do not fit.",
    "scipy.signal": "Shapes are as in SciPy. ShapeError for operands that do not fit.",
    "scipy.integrate": "A state has the shape (n,), the solutions those that SciPy gives. GradientError for an argument that "
                       "there is no derivative by.",
    "scipy.optimize": "A point has the shape (n,), or that of the start. GradientError for an argument that there is no "
                      "derivative by.",
    "scipy.interpolate": "The points have the shape (n,), the values (n, ..). ShapeError where the lengths differ.",
}
BAD = {
    "tensor": "tg.tensor([1, 2], requires_grad=True)",
    "derivatives": "tg.grad(lambda x: x * x)(np.ones(2))",
    "compile": "tg.compile(lambda x: [].append(x.tolist()), fallback='error')(np.zeros(100))",
    "seeing": "tg.provenance(tg.exp(np.ones(2)), tg.tensor(1.0, requires_grad=True))",
    "keeping": "tg.load_tape(__file__)",
    "configuration": "tg.set_num_threads(0)",
    "elementwise": "tg.add(np.ones(3), np.ones(4))",
    "reductions": "tg.sum(np.ones((2, 3)), axis=2)",
    "cumulative": "tg.cumsum(np.ones((2, 3)), axis=2)",
    "ordering": "tg.sort(np.ones((2, 3)), axis=2)",
    "statistics": "tg.cov(np.ones((2, 2, 2)))",
    "polynomials": "tg.polyadd(np.ones((2, 2)), np.ones(2))",
    "applying": "tg.correlate(np.ones((2, 3)), np.ones(2))",
    "writing": "tg.put(np.ones(3), [0], tg.tensor(1.0, requires_grad=True))",
    "interpolation": "tg.interp(0.5, np.ones(3), np.ones(4))",
    "nan_reductions": "tg.nansum(np.ones((2, 3)), axis=2)",
    "shaping": "tg.reshape(np.ones((2, 3)), (7,))",
    "joining": "tg.concatenate([np.ones((2, 3)), np.ones((2, 4))])",
    "selecting": "tg.take(np.ones((2, 3)), [2], axis=0)",
    "indexing": "tg.getitem(np.ones((2, 3)), (2,))",
    "products": "tg.inner(np.ones((2, 3)), np.ones(4))",
    "creation": "tg.eye(-1)",
    "constants": "tg.argsort(np.ones((2, 3)), axis=2)",
    "complex_parts": "tg.real('text')",
    "activations": "tg.softmax(np.ones((2, 3)), axis=2)",
    "layers": "tg.linear(np.ones((2, 3)), np.ones((4, 5)))",
    "losses": "tg.mse_loss(np.ones(3), np.ones(4))",
    "convolution": "tg.conv1d(np.ones((1, 1, 3)), np.ones((1, 1, 9)))",
    "pooling": "tg.max_pool2d(np.ones((1, 3, 3)), 9)",
    "affine": "tg.addmm(np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 3)))",
    "distances": "tg.cdist(np.ones((2, 3)), np.ones((2, 5)))",
    "likelihoods": "tg.poisson_nll_loss(np.ones(3), np.ones(4))",
    "random": "tg.bernoulli([2.0])",
    "resampling": "tg.pixel_shuffle(np.ones((2, 3)), 2)",
    "scattering": "tg.scatter(np.ones(2), 0, np.array([9]), np.ones(1))",
    "autograd": "tg.autograd.grad(tg.exp(np.ones(())), [tg.tensor(1.0, requires_grad=True)])",
    "data": "tg.data.TensorDataset(np.ones(2), np.ones(3))",
    "distributed": "tg.distributed.shard(3)",
    "fft": "tg.fft.fft(np.ones(3), axis=1)",
    "linalg": "tg.linalg.solve(np.ones((2, 3)), np.ones(2))",
    "nn": "tg.nn.Linear(4, 2)(np.ones((2, 3)))",
    "nn.init": "tg.nn.init.xavier_uniform_(tg.tensor(1.0))",
    "nn.utils": "tg.nn.utils.vector_to_parameters(tg.tensor(np.ones(2)), [tg.tensor(np.ones(3))])",
    "optim": "tg.optim.SGD([1.0], lr=0.1)",
    "optim.lr_scheduler": "tg.optim.lr_scheduler.StepLR(1, 2)",
    "wengert": "tg.wengert.eval([('z', 'nothing', ('x',))], {'x': 1.0})",
    "xman": "tg.xman.XManFunctions.add('a', 'b')",
    "compat.autograd": "tg.compat.autograd.grad(lambda x: x)(np.ones(2))",
    "compat.autograd.extend": "tg.compat.autograd.grad(tg.compat.autograd.extend.primitive(np.exp))(1.0)",
    "compat.autograd.misc": "tg.compat.autograd.misc.flatten([1.0, np.ones(2)])[1](np.ones(5))",
    "compat.autograd.misc.optimizers": "tg.compat.autograd.misc.optimizers.sgd(lambda x, i: np.ones(3), np.ones(2))",
    "compat.autograd.test_util": "tg.compat.autograd.test_util.check_equivalent(np.ones(2), np.ones(3))",
    "scipy.integrate": "tg.scipy.integrate.simpson(tg.tensor(np.ones(3), requires_grad=True))",
    "scipy.interpolate": "tg.scipy.interpolate.CubicSpline([0.0, 1.0, 2.0], tg.tensor(np.ones(5)))",
    "scipy.linalg": "tg.scipy.linalg.solve_triangular(tg.tensor(np.ones((2, 3))), np.ones(2))",
    "scipy.optimize": "tg.scipy.optimize.minimize(lambda p: 1.0, tg.tensor(1.0, requires_grad=True))",
    "scipy.signal": "tg.scipy.signal.convolve(tg.tensor(np.ones((2, 3))), np.ones(3))",
    "scipy.special": "tg.scipy.special.jv(tg.tensor(1.0, requires_grad=True), 1.0)",
    "scipy.stats": "tg.scipy.stats.norm.pdf(tg.tensor(np.ones(3)), np.ones(4))",
}
TITLES = {"tensor": "Tensors and the tape", "derivatives": "Derivatives of functions", "compile": "Compiled functions",
          "seeing": "Seeing the tape", "keeping": "Saving", "configuration": "Configuration"}
GROUPS = {
    "tensor": "Tensor tensor from_dlpack tape no_grad enable_grad",
    "derivatives": "transforms.",
    "compile": "compiler.compiled",
    "seeing": "debug.",
    "keeping": "export saving",
    "configuration": "config",
}


def _group(name):
    """The page of a name of tapegrad itself that belongs to no family."""
    home = next((module for module, names in tg.LATER.items() if name in names.split()), None)
    for slug, members in GROUPS.items():
        for member in members.split():
            if name == member or home is not None and (home == member or member.endswith(".") and home.startswith(member)):
                return slug
    return None if home is None else home.split(".")[0]


def _header(module):
    return import_module(f"tapegrad.{module}").__doc__.strip()


def pages():
    """All pages of the reference, each public name on one of them."""
    found: dict[str, Page] = {}

    def page(slug, title, intro):
        return found.setdefault(slug, Page(slug, title, "\n\n".join(filter(None, [intro, MORE.get(slug)]))))

    for name in GROUPS:
        page(name, TITLES[name], "")
    family_of = {name: family for family, names in tg.functions.FAMILIES.items() for name in names.split()}
    for full in PUBLIC:
        where, _, name = full.removeprefix("tg.").rpartition(".")
        if where:
            header = {"linalg": "functions.linalg", "fft": "functions.fft"}.get(where, where)
            page(where, f"tapegrad.{where}", _header(header)).names.append(full)
        elif name in family_of:
            family = family_of[name]
            page(family, family.replace("_", " ").capitalize(), _header(f"functions.{family}")).names.append(full)
        else:
            slug = _group(name) or "tensor"
            page(slug, TITLES.get(slug, f"tapegrad: {slug}"), "" if slug in TITLES else _header(slug)).names.append(full)
    return list(found.values())


def errors() -> dict[str, Any]:
    """The classes of errors, by name."""
    return {name: value for name, value in vars(tg.errors).items()
            if isinstance(value, type) and value.__module__ == "tapegrad.errors"}


def error_of(page):
    """The exception that the bad call of a page raises."""
    try:
        eval(BAD[page.slug], {"tg": tg, "np": np, "__file__": __file__})
    except Exception as error:
        return error
    raise AssertionError(f"{page.slug}: no error: {BAD[page.slug]}")

"""Wengert lists: straight-line programs as data, `[("z1", "add", ("x1", "x1")), ("f", "square", ("z1",))]`.

    wengert.eval(f, val)            {name: value}, from the values of the inputs
    wengert.backprop(f, val)        {name: delta}, the derivative of the last value with respect to every value
    wengert.compile(f)              a callable val -> (val, delta), which is recorded once and replayed
    wengert.G, wengert.DG           the operators and their derivatives, by name, as functions of arrays
    wengert.parse, wengert.format   a list as text, `z1 = add(x1, x1)`, the format of `print(tg.tape())`

An entry is (z, g, (y1, .., yk)): z is g of the ys. Each y is a name, or the text of a literal, or keyword=name or
keyword=literal: `("z2", "sum", ("z1", "axis=0"))`. A name is either defined by one entry, before its
uses, or has its value in val.
Source: Wengert, A simple automatic derivative evaluation program (1964); Griewank and Walther, Evaluating Derivatives (2008).
"""

from tapegrad.wengert.compilation import compile
from tapegrad.wengert.evaluation import backprop, eval
from tapegrad.wengert.tables import DG, G
from tapegrad.wengert.text import format, parse

__all__ = ["DG", "G", "backprop", "compile", "eval", "format", "parse"]

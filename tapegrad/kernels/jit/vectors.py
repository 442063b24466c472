"""Loops over lines of numbers, vector by vector, as functions for numba's kernels: what LLVM does not make of loops.

A line is `size` neighbouring elements of flat arrays. over_lines(body) is a function of tuples of arrays,

    f(n, lines, start, size, vectors, period, numbers, totals, ahead)

that runs the body on each part of n lines, which lie one after the other from line `start` on: of COUNT lines at once, and of
those that are left over one by one, in parts that are COUNT times as long. A value in the body is a `Many`: COUNT vectors of
the processor's longest registers. The body has as parameters its Part, each array of `lines`, each of `vectors`, which lie
along the lines, in turn if they have a `period` of more than one (lines are then taken one by one), a Many for each array of
`numbers`, whose element i is for line start + i, and a Many for each array of `totals`, which begins as zeros. It returns the
next ones; their sums are added to element i of `totals`, in float64.

Several lines need no sum over the lanes of a vector before their end, and load and store once what lies along all of them.
The last part of a line is masked: no element is taken by itself. Lengths are not checked: kernels/normalisation.py gives arrays
that are in order, of one precision, and as long as their lines.
"""

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tapegrad.kernels.jit.sums import BLOCK
from tapegrad.kernels.jit.tiles import FUSED, INDEX, WIDE, WIDTH, WORD, filled, picked

COUNT = 4 if WIDE else 2                                # there are 32 registers, or 16
READ, SECOND_LEVEL, DATA = (ir.Constant(INDEX, flag) for flag in (0, 2, 1))       # operands of llvm.prefetch


class Many:
    """COUNT vectors, of which code is being written."""

    def __init__(self, builder, vectors):
        self.builder, self.vectors = builder, vectors

    def _each(self, operation, other):
        return Many(self.builder, [operation(x, y, flags=FUSED) for x, y in zip(self.vectors, other.vectors)])

    def __add__(self, other):
        return self._each(self.builder.fadd, other)

    def __sub__(self, other):
        return self._each(self.builder.fsub, other)

    def __mul__(self, other):
        return self._each(self.builder.fmul, other)


class Part:
    """A part of lines: that of `count` elements, or a whole one, where count is None."""

    def __init__(self, builder, vector, several, size, j, ahead, count=None):
        self.builder, self.vector, self.several, self.size, self.j, self.ahead = builder, vector, several, size, j, ahead
        self.align = WIDTH // vector.count
        self.masks = [None] * COUNT
        if count is not None:
            lane = ir.VectorType(INDEX, vector.count)
            numbers = ir.Constant(lane, [ir.Constant(INDEX, k) for k in range(vector.count)])
            left = [builder.sub(count, ir.Constant(WORD, 0 if several else k * vector.count)) for k in range(COUNT)]
            self.masks = [builder.icmp_signed("<", numbers, filled(builder, builder.trunc(n, INDEX), lane)) for n in left]

    def load(self, x, rest=None):
        """The elements of x, and of `rest`, or zeros, beyond the end."""
        rest = [ir.Constant(self.vector, None)] * COUNT if rest is None else rest.vectors
        return Many(self.builder, [self._load(*each) for each in zip(self._places(x, self.several), self.masks, rest)])

    def along(self, W):
        """What lies along each of the lines."""
        found = [self._load(place, mask, ir.Constant(self.vector, None)) for place, mask in zip(self._along(W), self.masks)]
        return Many(self.builder, found * (COUNT // len(found)))

    def store(self, z, value):
        for each in zip(value.vectors, self._places(z, self.several), self.masks):
            self._store(*each)

    def add_along(self, z, value):
        """What lies along each of the lines += the sum of their values."""
        values = [_sum(self.builder, value.vectors)] if self.several else value.vectors
        for more, place, mask in zip(values, self._along(z), self.masks):
            self._store(self.builder.fadd(self._load(place, mask, more), more, flags=FUSED), place, mask)

    def _places(self, start, several):
        step, j = self.size if several else ir.Constant(WORD, self.vector.count), self.j
        for _ in range(COUNT):
            yield self.builder.bitcast(self.builder.gep(start, [j]), self.vector.as_pointer())
            j = self.builder.add(j, step)

    def _along(self, start):
        return list(self._places(start, False))[:1 if self.several else COUNT]

    def _load(self, place, mask, rest):
        if mask is None:
            return self.builder.load(place, align=self.align)
        return self._masked("load", self.vector, place, ir.Constant(INDEX, self.align), mask, rest)

    def _store(self, value, place, mask):
        if mask is None:
            self.builder.store(value, place, align=self.align)
        else:
            self._masked("store", ir.VoidType(), value, place, ir.Constant(INDEX, self.align), mask)

    def _masked(self, what, result, *operands):
        name = f"llvm.masked.{what}.v{self.vector.count}f{self.align * 8}.p0"
        return self.builder.call(self._function(name, result, *[x.type for x in operands]), operands)

    def fetch(self, x):
        """Have the processor fetch as much of x, `ahead` elements further, which may be beyond the end of the array.

        To the cache of the second level: the first one is full of what is being computed.
        """
        byte, j = ir.IntType(8).as_pointer(), self.builder.add(self.ahead, self.j)
        if self.several:                                # in order
            j = self.builder.add(self.ahead, self.builder.mul(self.j, ir.Constant(WORD, COUNT)))
        function = self._function("llvm.prefetch.p0", ir.VoidType(), byte, INDEX, INDEX, INDEX)
        for k in range(COUNT):
            place = self.builder.gep(x, [self.builder.add(j, ir.Constant(WORD, k * self.vector.count))])
            self.builder.call(function, [self.builder.bitcast(place, byte), READ, SECOND_LEVEL, DATA])

    def _function(self, name, result, *operands):
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, operands), name)


def _sum(builder, xs):
    while len(xs) > 1:
        xs = [builder.fadd(x, y, flags=FUSED) for x, y in zip(xs[::2], xs[1::2])]
    return xs[0]


def _neighbours(builder, x, y):
    """The sums of pairs of neighbours, of x and then of y."""
    ends = range(0, x.type.count if y is x else 2 * x.type.count, 2)
    return builder.fadd(picked(builder, x, y, ends), picked(builder, x, y, [end + 1 for end in ends]), flags=FUSED)


def _add_totals(builder, several, sums, places):
    """The sums of several lines, or of one, to the numbers in float64 at their places."""
    if several:
        for xs, place in zip(sums, places):
            _add(builder, _lane_sums(builder, xs), place)
    elif sums:
        totals = [_sum(builder, xs) for xs in sums]
        found = _lane_sums(builder, totals + totals[:1] * ((1 << (len(totals) - 1).bit_length()) - len(totals)))
        for k, place in enumerate(places):
            _add(builder, picked(builder, found, found, [k]), place)


def _lane_sums(builder, xs):
    """A vector of the sums of the lanes of each of some vectors, as many as a power of 2."""
    count = len(xs)
    while len(xs) > 1:
        xs = [_neighbours(builder, x, y) for x, y in zip(xs[::2], xs[1::2])]
    total = xs[0]
    while total.type.count > count:
        total = _neighbours(builder, total, total)
    return total


def _add(builder, total, place):
    doubles = ir.VectorType(ir.DoubleType(), total.type.count)
    total = total if total.type == doubles else builder.fpext(total, doubles)
    place = builder.bitcast(place, doubles.as_pointer())
    builder.store(builder.fadd(builder.load(place, align=8), total), place, align=8)


def _spread(builder, several, start, vector):
    places = [builder.gep(start, [ir.Constant(WORD, k)]) for k in range(COUNT if several else 1)]
    found = [filled(builder, builder.load(place), vector) for place in places]
    return Many(builder, found * (COUNT // len(found)))


def over_lines(body):
    """See above."""
    some = _over_some(body)

    @numba.njit(error_model="numpy", forceinline=True)
    def function(n, lines, start, size, vectors, period, numbers, totals, ahead):
        several = n - n % COUNT if period == 1 else 0
        for i in range(0, several, COUNT):
            some(True, lines, (start + i) * size, size, vectors, 0, numbers, i, totals, ahead)
        for i in range(several, n):
            some(None, lines, (start + i) * size, size, vectors, (start + i) % period * size, numbers, i, totals, ahead)

    return function


def _over_some(body):
    """over_lines of COUNT lines, or, where `several` is None, of one, from element `first` on, and `at` of what lies along."""
    @intrinsic
    def function(typing, several, lines, first, size, vectors, at, numbers, i, totals, ahead):
        number, many = lines[0].dtype, not isinstance(several, types.NoneType)
        vector = ir.VectorType(ir.FloatType() if number.bitwidth == 32 else ir.DoubleType(), WIDTH * 8 // number.bitwidth)

        def called(context, builder, signature, operands):
            def starts(kinds, value, index):
                arrays = [context.make_array(kind)(context, builder, value=builder.extract_value(value, k)).data
                          for k, kind in enumerate(kinds)]
                return [builder.gep(data, [index]) for data in arrays]

            _, line_values, first, size, vector_values, at, number_values, i, total_values, ahead = operands
            xs, along = starts(lines, line_values, first), starts(vectors, vector_values, at)
            spreads = [_spread(builder, many, start, vector) for start in starts(numbers, number_values, i)]
            places = starts(totals, total_values, i)
            sums = [[cgutils.alloca_once(builder, vector) for _ in range(COUNT)] for _ in places]
            turn = ir.Constant(WORD, vector.count * (1 if many else COUNT))

            def part(j, count=None):
                held = [Many(builder, [builder.load(place) for place in each]) for each in sums]
                found = body(Part(builder, vector, many, size, j, ahead, count), *xs, *along, *spreads, *held)
                for each, more in zip(sums, found if type(found) is tuple else (found,)):
                    for place, value in zip(each, more.vectors):
                        builder.store(value, place)

            def block(low, high):
                for each in sums:
                    for place in each:
                        builder.store(ir.Constant(vector, None), place)
                full = builder.sub(high, builder.urem(builder.sub(high, low), turn))
                with cgutils.for_range_slice(builder, low, full, turn, WORD) as (j, _):
                    part(j)
                with builder.if_then(builder.icmp_signed("<", full, high)):
                    part(full, builder.sub(high, full))
                _add_totals(builder, many, [[builder.load(total) for total in each] for each in sums], places)

            if places:
                length = ir.Constant(WORD, BLOCK)
                with cgutils.for_range_slice(builder, ir.Constant(WORD, 0), size, length, WORD) as (low, _):
                    high = builder.add(low, length)
                    block(low, builder.select(builder.icmp_signed("<", high, size), high, size))
            else:
                block(ir.Constant(WORD, 0), size)
            return context.get_dummy_value()

        index = types.int64
        return types.void(several, lines, index, index, vectors, index, numbers, index, totals, index), called

    return function


"""Products with sums that stay in registers, as functions of addresses: what LLVM does not make of loops.

A tile is 8 rows of one or two vectors. A vector is as long as the processor's longest registers: WIDTH bytes. Rows of a
matrix of vectors are multiplied by numbers that are picked from anywhere, so that nothing has to be copied side by side before:

    tile      z[i] = sum over j of x[at[j] + to[i]] y[j], for i from 0 to 7, with vectors y[j] and z[i]
    turned    the transpose z[k, i] = x[i, k], plus numbers; turned_back  the transpose again
"""

import numba
from llvmlite import ir
from numba.extending import intrinsic

from tapegrad.kernels.jit.machine_code import processor

ROWS = 8
INDEX, WORD, PLACE = ir.IntType(32), ir.IntType(64), numba.int64
FUSED = ("contract",)
WIDE, MIDDLE = ["+" + name in processor()[1].split(",") for name in ("avx512f", "avx2")]
WIDTH, MOST = (64, 2) if WIDE else (32, 1)              # a tile of MOST vectors fits the registers
TERMS = 1 << 12 if WIDE else 320 if MIDDLE else 0       # of a sum, up to which tiles gained beside OpenBLAS


def _vector(context, number):
    size = number.bitwidth // 8
    return context.get_value_type(number), ir.VectorType(context.get_value_type(number), WIDTH // size), size


def _at(builder, place, offset, kind):
    return builder.inttoptr(builder.add(place, offset), kind.as_pointer())


def _load(builder, place, offset, kind, align):
    return builder.load(_at(builder, place, offset, kind), align=align)


def _store(builder, value, place, offset, align):
    builder.store(value, _at(builder, place, offset, value.type), align=align)


def picked(builder, first, second, lanes):
    """A vector of lanes of two vectors, which are counted on from the first to the second."""
    mask = ir.Constant(ir.VectorType(INDEX, len(lanes)), [ir.Constant(INDEX, lane) for lane in lanes])
    return builder.shuffle_vector(first, second, mask)


def filled(builder, value, vector):
    """A vector of one number."""
    start = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(INDEX, 0))
    return picked(builder, start, start, [0] * vector.count)


def _tile(vectors):
    @intrinsic
    def tile(typing, x, at, count, to, y, step, z, z_step, one):
        """The addresses of x, at, to, y and z; the bytes between rows of y, and of z. The offsets in `at` and `to` are
        elements, as int64. `one` is of the precision. count > 0."""
        def call(context, builder, signature, operands):
            x, at, count, to, y, step, z, z_step, _ = operands
            real, vector, size = _vector(context, one)
            word = lambda n: ir.Constant(WORD, n)       # noqa: E731
            sources = [builder.add(x, builder.mul(_load(builder, to, word(8 * i), WORD, 8), word(size))) for i in range(ROWS)]
            start, loop, end = builder.block, builder.append_basic_block("terms"), builder.append_basic_block("sums")
            builder.branch(loop)
            builder.position_at_end(loop)
            j = builder.phi(WORD)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(ROWS)]
            shift = builder.mul(_load(builder, at, builder.mul(j, word(8)), WORD, 8), word(size))
            row = builder.mul(j, step)
            ys = [_load(builder, y, builder.add(row, word(WIDTH * v)), vector, size) for v in range(vectors)]
            for source, totals in zip(sources, sums):
                spread = filled(builder, _load(builder, source, shift, real, size), vector)
                for total, factor in zip(totals, ys):
                    total.add_incoming(ir.Constant(vector, None), start)
                    product = builder.fmul(spread, factor, flags=FUSED)
                    total.add_incoming(builder.fadd(total, product, flags=FUSED), loop)
            following = builder.add(j, word(1))
            j.add_incoming(word(0), start)
            j.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, count), loop, end)
            builder.position_at_end(end)
            for i, totals in enumerate(sums):
                for v, total in enumerate(totals):
                    offset = builder.add(builder.mul(z_step, word(i)), word(WIDTH * v))
                    _store(builder, total.incomings[1][0], z, offset, size)
            return context.get_dummy_value()

        return numba.void(*[PLACE] * 8, one), call

    return tile


tile, tile_pair = _tile(1), _tile(2)


def _rotated(builder, rows, bits):
    """The numbers of all rows, in an order in which the highest bits of their places have become the lowest."""
    count = rows[0].type.count
    pairs = [lane for k in range(count) for lane in (k, count + k)]
    for _ in range(bits):
        rows = [picked(builder, rows[i], rows[i + ROWS // 2], half) for i in range(ROWS // 2)
                for half in (pairs[:count], pairs[count:])]
    return rows


def _parts(builder, step, count, size):
    """Where the columns of 8 numbers are that ROWS vectors of `count` hold: for each vector the offsets of its parts."""
    length = min(count, ROWS)
    offsets = [builder.add(builder.mul(step, ir.Constant(WORD, low // ROWS)), ir.Constant(WORD, low % ROWS * size))
               for low in range(0, ROWS * count, length)]
    each = count // length
    return length, [offsets[i:i + each] for i in range(0, len(offsets), each)]


@intrinsic
def turned(typing, x, step, z, z_step, shift, one):
    """Of ROWS vectors x, `step` bytes apart, the lanes, plus the numbers at `shift`, to columns z, `z_step` bytes apart."""
    def call(context, builder, signature, operands):
        x, step, z, z_step, shift, _ = operands
        _, vector, size = _vector(context, one)
        added = _load(builder, shift, ir.Constant(WORD, 0), vector, size)
        rows = [builder.fadd(_load(builder, x, builder.mul(step, ir.Constant(WORD, i)), vector, size), added)
                for i in range(ROWS)]
        length, parts = _parts(builder, z_step, vector.count, size)
        for row, offsets in zip(_rotated(builder, rows, ROWS.bit_length() - 1), parts):
            for k, offset in enumerate(offsets):
                _store(builder, picked(builder, row, row, range(k * length, (k + 1) * length)), z, offset, size)
        return context.get_dummy_value()

    return numba.void(*[PLACE] * 5, one), call


@intrinsic
def turned_back(typing, x, step, z, z_step, one):
    """Of as many columns x of 8 numbers as a vector has lanes, `step` bytes apart, ROWS vectors z, `z_step` bytes apart."""
    def call(context, builder, signature, operands):
        x, step, z, z_step, _ = operands
        real, vector, size = _vector(context, one)
        length, parts = _parts(builder, step, vector.count, size)
        rows = []
        for offsets in parts:
            loaded = [_load(builder, x, offset, ir.VectorType(real, length), size) for offset in offsets]
            rows.append(loaded[0] if len(loaded) == 1 else picked(builder, *loaded, range(2 * length)))
        for i, row in enumerate(_rotated(builder, rows, vector.count.bit_length() - 1)):
            _store(builder, row, z, builder.mul(z_step, ir.Constant(WORD, i)), size)
        return context.get_dummy_value()

    return numba.void(*[PLACE] * 4, one), call

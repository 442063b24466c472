"""Compiled functions: recorded once, replayed while what they depend on is as it was.

What is recorded, and when it is replayed
    tracer.py       listens to a run of the function: operations become nodes; what leaves the tensors is noted
    watching.py     what else the run calls: clocks, files, print; code that has not been read
    guards.py       what the code can read, arguments, closures, globals, attributes, as Python source that checks, at each
                    call, that all this is as it was, and fetches the inputs
    recording.py    what a run came to: guards, inputs, a program, results, effects; and its replay
    call.py         what a replay puts on the tape
    compiled.py     tg.compile: the recordings of a function, and when it is run as it is

What runs
    repeats.py      what repeats in the graph is found
    rolling.py      it becomes a loop: one node, of a row of loop.py
    arrangement.py  passes that take slices and stacks out of the way of kernels and products
    simplify.py     passes that leave out what need not be computed
    products.py     passes that gather matrix products, over time steps and gates; look-ups instead of one-hot products
    batches.py      products of stacks of matrices, of views that are read where they are
    views.py        what an index takes, and where the elements of a view are
    fusion.py       which nodes are computed together, and in which order: instructions
    recomputing.py  what is computed again instead of being kept: what is cheap, and more within a budget of memory
    layout.py       where values are; what is concatenated is computed in its place
    inplace.py      what is written over a value that nothing reads any more
    arena.py        memory for all that: kept from forward to backward, or needed meanwhile
    text.py         the text of an elementwise kernel; library.py: those of sums and the softmax family; scalars.py: of loops
    program.py      the instructions as words, which kernels/program.py runs; memory from a pool
    listing.py      a program as text, and the time of each instruction
    plain.py        the nodes run one by one: the oracle of all that, and what runs without numba

A recording is a straight-line program, so its results are right while whatever the function branched on is the same. What it
can see of that are the signature (shapes, dtypes, structures, Python values, what requires a gradient, grad mode), Python
values, arrays and containers that its code can reach, and the elements of tensors that it looked at (`if x.sum() > 0`,
`float(x)`). All of it is compared before a replay, and a replay does nothing that can be seen from outside before these
comparisons are done. What can't be replayed is run as it is.
"""

from tapegrad.compiler.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]

"""The tape and what is on it: registers, the list itself, tensors, recording, and the reverse sweep.

    entry       what a name on the tape stands for: an entry, a leaf
    naming      the names under which a tape is read
    tape        the Wengert list, one per thread; how entries leave it; `no_grad`
    refcount    who else holds an array: what lets a write be in place
    tensor      the array and its register; value semantics by copy on write
    record      how a row of the registry becomes a function that appends to the tape
    sweep       the reverse sweep
"""

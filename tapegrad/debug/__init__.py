"""Debugging: the tape as a table and as a drawing, where a gradient or a NaN comes from, what memory and time go to.

    views                  the methods of tapes and traces
    watching               what is looked at while the operations of a thread run
    anomaly                the first NaN or infinity
    notes, tracing         what is remembered of entries, also when they are gone
    show, table            the entries as a table
    draw, folding, svg     the entries as a drawing in which loops are folded
    provenance             the parts of a gradient
    blame, reasons         the first entry that is not finite, and why
    memory, profile        what memory and time go to
    check                  every derivative against differences
    stepping               backward() entry by entry
"""

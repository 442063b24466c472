"""Debugging: the tape as a table or a drawing, the origin of a gradient or a NaN, the use of memory and time.

    views                  the methods of tapes and traces
    watching               observing the operations of a thread while they run
    anomaly                raising an error at the first NaN or infinity
    notes, tracing         recording facts about entries that outlive them
    show, table            the entries as a table
    draw, folding, svg     the entries as a drawing in which loops are folded
    provenance             the contributions to a gradient
    blame, reasons         the first entry that is not finite, and why
    memory, profile        the use of memory and time
    check                  every derivative compared with finite differences
    stepping               backward() entry by entry
    explore, explorer/     all of this as one HTML page that steps through a tape
    recall, digest, symbols, sources
                           what that page shows: values and deltas, arrays as JSON, rules as formulas, source lines
"""

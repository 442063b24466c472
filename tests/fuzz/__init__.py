"""Random programs of everything that has a state, run on tapegrad and on an oracle.

programs.py        draws programs: lists of steps
machine.py         what runs one; ours.py: on tapegrad; model.py: on an oracle
infinitesimal.py   the oracle's derivatives: numbers with infinitesimals; engines.py: gradients by them; pytorch.py: by PyTorch
operations.py      the operations, in all three
comparing.py       log against log, and the shortest program that differs
"""

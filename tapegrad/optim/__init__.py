"""Gradient descent: each optimiser moves its parameters, tensors, against their `.grad`.

A step in the middle of a recording leaves the recorded values alone. The hyperparameters may be changed between steps, by
hand or by a scheduler of optim.lr_scheduler. A parameter without a gradient stays, and its steps are not counted, as in
PyTorch. A complex parameter counts as its real and imaginary parts, as there.

    optimizer = tg.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in batches:
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()
"""

from tapegrad.optim import lr_scheduler
from tapegrad.optim.adam import Adam, AdamW, NAdam
from tapegrad.optim.adaptive import Adagrad, RMSprop
from tapegrad.optim.lbfgs import LBFGS
from tapegrad.optim.optimizer import Optimizer
from tapegrad.optim.sgd import SGD

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "NAdam", "Optimizer", "RMSprop", "lr_scheduler"]

"""A user's program, for type checkers: `mypy --strict` and pyright must find nothing in it. It runs, too (test_typing.py)."""

from typing import assert_type

import numpy as np

import tapegrad as tg
from tapegrad import Tensor, data, linalg, nn, optim
from tapegrad.optim import SGD

x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="x")
W = tg.tensor(np.eye(2), dtype=np.float64, requires_grad=True)
assert_type(x, Tensor)
assert_type(x.shape, tuple[int, ...])
assert_type(x.requires_grad, bool)

# Operators and methods
assert_type(x + W, Tensor)
assert_type(2 * x - 1, Tensor)
assert_type(-x / 2 ** x, Tensor)
assert_type(x @ W, Tensor)
assert_type(x[0, 1:], Tensor)
assert_type(x > 1, Tensor)
assert_type(x.T, Tensor)
assert_type(x.sum(), Tensor)
assert_type(x.mean(axis=0, keepdims=True).reshape(2).transpose(), Tensor)
for row in x:
    assert_type(row, Tensor)

# Functions
h = tg.tanh(x @ W)
assert_type(h, Tensor)
assert_type(tg.softmax(h, axis=-1), Tensor)
assert_type(tg.where(h > 0, h, 0.0), Tensor)
assert_type(tg.concatenate([x, h], axis=0), Tensor)
assert_type(tg.stack([x, h]), Tensor)
assert_type(tg.einsum("ij,jk->ik", x, W), Tensor)
assert_type(tg.sum(x, axis=(0, 1)), Tensor)
assert_type(tg.zeros((2, 3)), Tensor)
assert_type(linalg.inv(W), Tensor)
assert_type(tg.fft.fft(x), Tensor)
loss = tg.cross_entropy(h, np.array([0, 1]))
assert_type(loss, Tensor)
number: float = loss.item()

# The tape, backward
tape = tg.tape()
for z, g, ys in tape:
    assert_type(z, str)
    assert_type(g, str)
    assert_type(ys, tuple[str, ...])
assert_type(len(tape), int)
entries: list[tuple[str, str, tuple[str, ...]]] = tape.wengert()
loss.backward(retain_graph=True)
if x.grad is not None:
    print(x.grad.shape)
with tg.no_grad():
    W.data[...] -= 0.1
x.zero_grad()

# An optimiser
optimiser = SGD([x, W], lr=0.1, momentum=0.9)
optimiser.zero_grad()
loss.backward()
optimiser.step()
optim.Adam([W], lr=1e-3).step()


# A network, its data and its state
class Net(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Dropout(p=0.1), nn.Linear(hidden, 2))
        self.scale = nn.Parameter(np.ones(2, "f4"))

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self.layers(input) * self.scale
        return out


net = Net(4).train()
assert_type(net, Net)
descent = optim.AdamW(net.parameters(), lr=0.01)
schedule = optim.lr_scheduler.CosineAnnealingLR(descent, T_max=2)
dataset = data.TensorDataset(tg.randn(6, 2), np.array([0, 1, 0, 1, 1, 0]))
for inputs, targets in data.DataLoader(dataset, 3, shuffle=True, seed=0):
    descent.zero_grad()
    nn.CrossEntropyLoss()(net(inputs), targets).backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    descent.step()
    schedule.step()
state: dict[str, np.ndarray] = net.eval().state_dict()
net.load_state_dict(state, strict=True)
rates: list[float] = schedule.get_last_lr()


# Derivatives of functions
def square_sum(a: Tensor) -> Tensor:
    return (a * a).sum()


def square_sum_and_double(a: Tensor) -> tuple[Tensor, Tensor]:
    return square_sum(a), a * 2


slope = tg.grad(square_sum)(np.ones(3))
value, slope = tg.value_and_grad(square_sum)(np.ones(3))
curvature = tg.hessian(square_sum)(np.ones(3))
slope, aux = tg.grad(square_sum_and_double, has_aux=True)(np.ones(3))
each = tg.vmap(tg.grad(square_sum), in_axes=(0,), out_axes=-1)(np.ones((4, 3)))
tg.gradcheck(square_sum, np.ones(3), order=2)
(dx,) = tg.autograd.grad(square_sum(x), x)


@tg.no_grad()
def predict(a: Tensor) -> Tensor:
    return tg.sigmoid(a @ W)


@tg.no_grad
def shifted(a: Tensor, by: float = 1.0) -> Tensor:
    return a + by


assert_type(predict(x), Tensor)
assert_type(shifted(x, by=2.0), Tensor)

# Lists as data
f = tg.wengert.parse("z1 = add(x1, x1)\nf = square(z1)")
val = tg.wengert.eval(f, {"x1": 3.0})
delta = tg.wengert.backprop(f, val)
print(val["f"], delta["x1"])

# Seeing the tape
with tg.traced() as trace:
    square_sum(x).backward()
print(trace.show(), tg.tape().show())
text: str = trace.draw(format="dot")

# NumPy's functions and arrays take tensors and give tensors, which NumPy's own annotations do not know.
logged: object = np.log(tg.exp(x))
added: object = np.ones(2) + x
assert isinstance(logged, Tensor) and isinstance(added, Tensor)

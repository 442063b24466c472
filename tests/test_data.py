"""Datasets, batches, loaders: every item once, orders by seeds, going on in the middle of an epoch, errors."""

import json
from collections import namedtuple

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import data
from tapegrad.errors import DtypeError, ShapeError, StateError

X, Y = np.arange(14.0).reshape(7, 2), np.arange(7)


def places(loader):
    return [y.tolist() for _, y in loader]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 10])
def test_every_item_is_in_one_batch(shuffle, drop_last, size):
    loader = data.DataLoader(data.TensorDataset(X, Y), size, shuffle, drop_last=drop_last)
    batches = places(loader)
    assert len(batches) == len(loader) == (7 // size if drop_last else -(-7 // size))
    found = [i for ids in batches for i in ids]
    assert len(set(found)) == len(found) == (7 // size * size if drop_last else 7)
    assert shuffle or found == sorted(found)
    for x, y in loader:
        np.testing.assert_array_equal(x, X[y])


def test_orders_by_seeds():
    def made(seed):
        return data.DataLoader(data.TensorDataset(X, Y), 2, shuffle=True, seed=seed)

    one, other = made(3), made(3)
    epochs = [places(one) for _ in range(3)]
    tg.manual_seed(0)
    assert [places(other) for _ in range(3)] == epochs and epochs[0] != epochs[1] != epochs[2]
    tg.manual_seed(5)
    first = places(made(None))
    tg.manual_seed(5)
    assert places(made(None)) == first


@pytest.mark.parametrize("dataset, wanted", [
    ([1, 2, 3], [1, 2]), ([1.5, 2.5], [1.5, 2.5]), (["a", "b"], ["a", "b"]), ([np.ones(2), np.zeros(2)], [[1, 1], [0, 0]]),
    ([(1, "a"), (2, "b")], ([1, 2], ["a", "b"])), ([{"x": 1, "y": [2.0]}, {"x": 3, "y": [4.0]}],
                                                   {"x": [1, 3], "y": [[2.0, 4.0]]}),
    ([tg.tensor([1.0]), tg.tensor([2.0])], [[1.0], [2.0]])])
def test_collating(dataset, wanted):
    def plain(z):
        if isinstance(z, dict):
            return {key: plain(held) for key, held in z.items()}
        return z.tolist() if hasattr(z, "tolist") else type(z)(map(plain, z)) if isinstance(z, (list, tuple)) else z

    assert plain(next(iter(data.DataLoader(dataset, 2)))) == wanted


def test_named_tuples_stay_named():
    Item = namedtuple("Item", "x y")
    batch, = data.DataLoader([Item(np.ones(2), 3), Item(np.zeros(2), 4)], 2)
    assert type(batch) is Item and batch.x.tolist() == [[1, 1], [0, 0]] and batch.y.tolist() == [3, 4]


def test_a_function_that_collates():
    loader = data.DataLoader([[1.0, 2.0], [3.0]], 2,
                             collate_fn=lambda items: (data.pad_sequence(items), [len(x) for x in items]))
    (padded, lengths), = loader
    assert padded.tolist() == [[1, 3], [2, 0]] and lengths == [2, 1]


def test_tensors_stay_tensors():
    x = tg.tensor(X, requires_grad=True)
    for part, ids in data.DataLoader(data.TensorDataset(x, Y), 3):
        (part * ids[:, None]).sum().backward()
    np.testing.assert_array_equal(x.grad, np.repeat(Y[:, None], 2, 1))


class TestBuckets:
    lengths = np.random.default_rng(0).integers(1, 20, 103)

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_batches_are_of_like_length(self, shuffle):
        sampler = data.BucketBatchSampler(self.lengths, 8, shuffle, seed=0)
        batches = [ids.tolist() for ids in sampler]
        assert sorted(i for ids in batches for i in ids) == list(range(103)) and len(batches) == len(sampler) == 13
        padded = sum(len(ids) * self.lengths[ids].max() for ids in batches)
        assert padded <= self.lengths.sum() * 1.1
        firsts = [self.lengths[ids[0]] for ids in batches]
        assert (firsts == sorted(firsts)) == (not shuffle)

    def test_orders(self):
        one, other = (data.BucketBatchSampler(self.lengths, 8, seed=4) for _ in range(2))
        first = [ids.tolist() for ids in one]
        assert [ids.tolist() for ids in other] == first != [ids.tolist() for ids in one]

    def test_in_a_loader(self):
        loader = data.DataLoader(list(range(103)), batch_sampler=data.BucketBatchSampler(self.lengths, 8, drop_last=True))
        assert len(loader) == 12 and len({i for batch in loader for i in batch.tolist()}) == 96


class TestGoingOn:
    def made(self, seed=1, shuffle=True):
        return data.DataLoader(data.TensorDataset(X, Y), 2, shuffle, seed=seed)

    @pytest.mark.parametrize("taken", [0, 1, 3, 4])
    def test_in_the_middle_of_an_epoch(self, taken):
        loader = self.made()
        places(loader)
        epoch = iter(loader)
        for _ in range(taken):
            next(epoch)
        saved = json.loads(json.dumps(loader.state_dict()))
        left = [y.tolist() for _, y in epoch] if taken else None
        following = [places(loader) for _ in range(2 if taken else 3)]
        again = self.made(seed=9)
        again.load_state_dict(saved)
        assert again.state_dict() == saved
        found = [places(again) for _ in range(3)]
        assert found == ([left, *following] if 0 < taken < 4 else [*following[:3], *found[len(following):]])

    def test_without_a_seed(self):
        loader, plain = self.made(seed=None), self.made(seed=None, shuffle=False)
        for of in (loader, plain):
            next(iter(of))
        with pytest.raises(StateError, match="give a seed"):
            loader.state_dict()
        again = self.made(seed=None, shuffle=False)
        again.load_state_dict(plain.state_dict())
        assert places(again) == [[2, 3], [4, 5], [6]]

    @pytest.mark.parametrize("state, words", [
        ({"position": 1}, "a dictionary of sampler and position"),
        ({"sampler": None, "position": 4}, "position=4 of 4 batches"),
        ({"sampler": {"generator": None}, "position": 0}, "without a seed, and this sampler has one"),
        ({"sampler": {"generator": {"state": 1}}, "position": 0}, "no state of a generator"),
        ({"sampler": {}, "position": 0}, "generator")])
    def test_what_does_not_fit(self, state, words):
        with pytest.raises(StateError, match=words):
            self.made().load_state_dict(state)


class TestSplits:
    @pytest.mark.parametrize("lengths, counts", [([5, 2], [5, 2]), ([0.5, 0.5], [4, 3]), ([0.1, 0.1, 0.8], [1, 1, 5]),
                                                 ([7], [7]), ([1.0], [7])])
    def test_lengths(self, lengths, counts):
        parts = data.random_split(data.TensorDataset(X, Y), lengths, seed=0)
        assert [len(part) for part in parts] == counts
        assert sorted(int(part[i][1]) for part in parts for i in range(len(part))) == list(range(7))

    def test_parts_in_a_loader(self):
        part, _ = data.random_split(data.TensorDataset(X, Y), [4, 3], seed=0)
        (x, y), = data.DataLoader(part, 4)
        np.testing.assert_array_equal(x, X[part.indices])
        np.testing.assert_array_equal(y, Y[part.indices])

    def test_seeds(self):
        def made(seed):
            return [part.indices.tolist() for part in data.random_split(range(20), [10, 10], seed)]

        assert made(1) == made(1) != made(2)
        tg.manual_seed(0)
        first = made(None)
        tg.manual_seed(0)
        assert made(None) == first


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("gradient", [False, True])
def test_padding_is_that_of_pytorch(batch_first, side, gradient):
    torch = pytest.importorskip("torch")
    arrays = [np.random.default_rng(n).normal(size=(n, 2)) for n in (3, 1, 4)]
    z = data.pad_sequence([tg.tensor(x, requires_grad=gradient) for x in arrays], batch_first, -1.0, side)
    wanted = torch.nn.utils.rnn.pad_sequence([torch.tensor(x) for x in arrays], batch_first, -1.0, side)
    np.testing.assert_array_equal(z.data, wanted.numpy())
    assert z.requires_grad == gradient


def test_derivative_of_padding():
    assert tg.gradcheck(lambda x, y: data.pad_sequence([x, y], padding_side="left"), np.ones((3, 2)), np.ones((1, 2)))
    assert data.pad_sequence([np.array([1, 2]), np.array([3])]).dtype == np.int64


@pytest.mark.parametrize("call, error, words", [
    (lambda: data.TensorDataset(X, Y[:3]), ShapeError,
     "TensorDataset: float64 \\(7, 2\\), int64 \\(3,\\); arrays of one length"),
    (lambda: data.TensorDataset(), ShapeError, "TensorDataset: nothing"),
    (lambda: data.DataLoader([1], 0), ValueError, "batch_size=0"), (lambda: data.DataLoader(3), TypeError, "DataLoader: 3"),
    (lambda: data.DataLoader([1], 2, batch_sampler=[[0]]), ValueError, "batch_sampler with batch_size"),
    (lambda: list(data.DataLoader([np.ones(2), np.ones(3)], 2)), ShapeError,
     "collate: items float64 \\(2,\\), float64 \\(3,\\).*pad_sequence"),
    (lambda: list(data.DataLoader([(1, 2), (3,)], 2)), ShapeError, "items of 2, 1 parts"),
    (lambda: list(data.DataLoader([1, 2], batch_sampler=[[0.5, 1]])), DtypeError, "a batch of float64 \\(2,\\)"),
    (lambda: data.DataLoader([1, 2], shuffle=True, seed=0).load_state_dict({"sampler": None, "position": 1}), StateError,
     "BatchSampler is no sampler like that of the state"),
    (lambda: data.random_split([1, 2], [1, 2]), ValueError, "of 3 items in all; there are 2"),
    (lambda: data.random_split([1, 2], [0.5, 0.2]), ValueError, "shares whose sum is 1"),
    (lambda: data.random_split([1, 2], [-1, 3]), ValueError, "at least 0"),
    (lambda: data.pad_sequence([]), ShapeError, "pad_sequence: nothing"),
    (lambda: data.pad_sequence([np.ones((1, 2)), np.ones((1, 3))]), ShapeError,
     "pad_sequence: float64 \\(1, 2\\), float64 \\(1, 3\\)"),
    (lambda: data.pad_sequence([np.ones(1)], padding_side="up"), ValueError, "padding_side='up'"),
    (lambda: data.BucketBatchSampler(np.ones((2, 2)), 1), ValueError, "BucketBatchSampler: lengths float64")])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()

"""Datasets, batches and loaders.

    dataset = tg.data.TensorDataset(x, labels)
    training, validation = tg.data.random_split(dataset, [0.9, 0.1], seed=0)
    for epoch in range(epochs):
        for x, y in tg.data.DataLoader(training, batch_size=32, shuffle=True):
            ...

Random orders are drawn from this thread's generator, which tg.manual_seed(n) seeds, or from one with a seed of its own.
"""

from tapegrad.data.datasets import Subset, TensorDataset, pad_sequence, random_split
from tapegrad.data.loading import DataLoader, collate
from tapegrad.data.sampling import BatchSampler, BucketBatchSampler

__all__ = ["BatchSampler", "BucketBatchSampler", "DataLoader", "Subset", "TensorDataset", "collate", "pad_sequence",
           "random_split"]

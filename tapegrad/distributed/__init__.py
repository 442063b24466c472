"""Training by several processes, on one machine or several, over MPI: `pip install 'tapegrad[distributed]'`.

    tg.distributed.init()                                       # mpiexec -n 4 python train.py
    model = tg.distributed.DataParallel(tg.distributed.broadcast(nn.Linear(10, 2)))
    sampler = tg.distributed.shard(tg.data.BatchSampler(len(dataset), 64, shuffle=True))
    for x, y in tg.data.DataLoader(dataset, batch_sampler=sampler):
        optimizer.zero_grad()
        tg.cross_entropy(model(x), y).backward()                # gradients: those of the joint batch, on every rank
        optimizer.step()

Each process, a rank, computes the gradients of its part of a batch, and backward() averages them while it runs. Started as one
process, without MPI, the same program trains alone. world.py starts and ends; reducer.py averages; sharing.py has what is the
same everywhere, and what each rank gets.

A rank that raises an error ends the whole run, and so does one that is killed. A rank that waits for one which has ended
raises DistributedError. docs/distributed.md says what averaging costs.
"""

from tapegrad.distributed.reducer import DataParallel
from tapegrad.distributed.sharing import all_gather, all_reduce, broadcast, shard, share
from tapegrad.distributed.world import init, rank, world_size

__all__ = ["DataParallel", "all_gather", "all_reduce", "broadcast", "init", "rank", "shard", "share", "world_size"]

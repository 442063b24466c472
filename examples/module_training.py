"""Training a module of tapegrad.nn: what digits.py, letters.py and transformer.py share.

Epochs with progress, a checkpoint, a picture of the losses, and the command line.
"""

import os

import drawing
from commands import ends, parser_of
from interrupts import Interrupts
from tqdm import tqdm

import tapegrad as tg


class Run:
    """A module, its optimiser and scheduler, and the batches that it learns from. `loss` is a function of a batch.

    `train()` goes on where the checkpoint is, if there is one, and writes it after every epoch and on Ctrl-C: in the middle of
    an epoch, too, from where the same command goes on to the same weights.
    """

    def __init__(self, flags, module, loss, loader, rate):
        self.flags, self.module, self.loss, self.loader = flags, module, loss, loader
        self.optimizer = tg.optim.AdamW(list(module.parameters()), lr=rate)
        self.scheduler = tg.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=max(flags.epochs * len(loader), 1))
        self.losses, self.total = [], 0.0               # of the epochs, and the sum of this one so far
        self.interrupts = Interrupts()

    def parts(self):
        return {"module": self.module, "optimizer": self.optimizer, "scheduler": self.scheduler, "loader": self.loader,
                "random": tg.generator()}

    def save(self):
        if self.flags.checkpoint:
            tg.save(self.flags.checkpoint, losses=self.losses, total=self.total, epochs=self.flags.epochs, **self.parts())

    def resume(self):
        if self.flags.checkpoint and os.path.exists(self.flags.checkpoint):
            found = tg.load(self.flags.checkpoint, **self.parts())
            if found["epochs"] != self.flags.epochs:
                raise tg.errors.StateError(f"{self.flags.checkpoint} is of a run of {found['epochs']} epochs")
            self.losses, self.total = found["losses"], found["total"]
            print(f"{self.flags.checkpoint}: goes on in epoch {len(self.losses) + 1}")

    def step(self, batch):
        self.optimizer.zero_grad()
        loss = self.loss(*batch)
        loss.backward()
        tg.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    def train(self, report):
        """report() says what the module can do, after every epoch."""
        self.resume()
        with self.interrupts:
            while len(self.losses) < self.flags.epochs:
                if self.interrupts.asked:
                    raise KeyboardInterrupt
                self.epoch()
                print(f"epoch {len(self.losses)}: loss {self.losses[-1]:.3f}, {report()}", flush=True)
                self.save()
        if self.flags.out:
            self.draw()

    def epoch(self):
        self.module.train()
        done = self.loader.state_dict()["position"]
        for batch in tqdm(self.loader, f"epoch {len(self.losses) + 1}", len(self.loader), initial=done, leave=False):
            self.total += self.step(batch)
            if self.interrupts.asked and self.loader.state_dict()["position"]:         # else the epoch has ended
                self.save()
                raise KeyboardInterrupt
        self.losses.append(self.total / len(self.loader))
        self.total = 0.0
        self.module.eval()

    def draw(self):
        figure, (axes,) = drawing.figure(5, 3)
        axes.plot(range(1, len(self.losses) + 1), self.losses, "o-")
        axes.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
        drawing.save(os.path.join(self.flags.out, "losses.png"), figure)


def main(name, text, run, epochs):
    """Run run(flags) with the options of these examples."""
    parser = parser_of(name, text, name)
    parser.add_argument("--epochs", type=int, default=epochs, metavar="N", help="times through the data (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, order and dropout (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a small part of the data: does it run?")
    parser.add_argument("--checkpoint", metavar="FILE", help="written after every epoch and on Ctrl-C; goes on from there")
    flags = parser.parse_args()
    tg.manual_seed(flags.seed)
    with ends(parser, flags.checkpoint):
        run(flags)

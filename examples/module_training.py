"""Training a module of tapegrad.nn: what digits.py, letters.py and transformer.py share.

Epochs with progress, a checkpoint, a picture of the losses, and the command line.
"""

import argparse
import os
import signal

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
        self.asked = False                              # to end

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

    def ask(self, *signal):
        """Ctrl-C: end after this batch, when all parts of the run belong together. The second one ends it at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def train(self, report):
        """report() says what the module can do, after every epoch."""
        self.resume()
        before = signal.signal(signal.SIGINT, self.ask)
        try:
            while len(self.losses) < self.flags.epochs:
                self.epoch()
                print(f"epoch {len(self.losses)}: loss {self.losses[-1]:.3f}, {report()}", flush=True)
                self.save()
        finally:
            signal.signal(signal.SIGINT, before)
        if self.flags.out:
            self.draw()

    def epoch(self):
        self.module.train()
        done = self.loader.state_dict()["position"]
        for batch in tqdm(self.loader, f"epoch {len(self.losses) + 1}", len(self.loader), initial=done, leave=False):
            self.total += self.step(batch)
            if self.asked:
                self.save()
                raise KeyboardInterrupt
        self.losses.append(self.total / len(self.loader))
        self.total = 0.0
        self.module.eval()

    def draw(self):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot(range(1, len(self.losses) + 1), self.losses, "o-")
        axes.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
        os.makedirs(self.flags.out, exist_ok=True)
        figure.savefig(os.path.join(self.flags.out, "losses.png"), dpi=150)
        print(f"saved {os.path.join(self.flags.out, 'losses.png')}")


def main(name, text, run, epochs):
    """Run run(flags) with the options of these examples."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=epochs, metavar="N", help="times through the data (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, order and dropout (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a small part of the data: does it run?")
    parser.add_argument("--checkpoint", metavar="FILE", help="written after every epoch and on Ctrl-C; goes on from there")
    parser.add_argument("--out", default=os.path.join("runs", name), metavar="DIR",
                        help='where the picture is saved; "" for none (default: %(default)s)')
    flags = parser.parse_args()
    tg.manual_seed(flags.seed)
    try:
        run(flags)
    except ModuleNotFoundError as error:
        parser.exit(2, f"{parser.prog}: error: this example needs {error.name}: pip install tapegrad[examples]\n")
    except (OSError, tg.errors.StateError, tg.errors.ShapeError, tg.errors.DtypeError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:
        saved = f"; saved in {flags.checkpoint}" if flags.checkpoint else ""
        parser.exit(130, f"\n{parser.prog}: interrupted{saved}\n")

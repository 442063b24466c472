"""Checkpoints: all that a run is made of in one file, from which the same command goes on, to the same weights bit for bit.

The file is written by tg.save, under another name first, so that it is whole whenever the process is killed. In a run of
several processes the first one writes and reads.
"""

from zlib import crc32

from interrupts import Interrupts
from names_data import InputError
from training import parameters

import tapegrad as tg
from tapegrad.distributed import all_gather, broadcast, rank
from tapegrad.errors import DtypeError, ShapeError, StateError

WHERE = "history", "best", "order", "step", "loss_sum", "hits", "seen", "seconds"


def checksum(*parts):
    """A number that says whether arrays and texts are the same."""
    found = 0
    for part in parts:
        found = crc32(part.encode() if isinstance(part, str) else part.tobytes(), found)
    return found


class NoCheckpoint:
    """Nothing is written, and Ctrl-C ends the training where it is."""

    path, asked = None, False

    def resume(self, run):
        pass

    def save(self, run):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Checkpoint(Interrupts):
    """Writes a run to the file `path`, and goes on from there. `about` is what else must be the same: arguments, data, ..

    As `with checkpoint:` it has Ctrl-C wait for the end of a batch.
    """

    def __init__(self, path, about):
        self.path, self.about = path, about

    def resume(self, run):
        """Put the run where the file is; without one, write it. InputError for the file of another run."""
        wrong, where, there = None, None, False
        if rank() == 0:
            try:
                there = self._load(run)
                if not there:
                    self.save(run)
                where = {name: getattr(run, name) for name in WHERE}
            except (StateError, ShapeError, DtypeError, KeyError, TypeError, ValueError) as error:
                wrong = f"{self.path}: this is no checkpoint of this run: {error}"
            except OSError as error:
                wrong = f"{self.path}: {error.strerror or error}"
        wrong, where = all_gather((wrong, where))[0]
        if wrong:
            raise InputError(wrong)
        vars(run).update(where)
        broadcast([parameters(run.model), run.best_weights, run.optimizer, run.rng, tg.generator()])
        if there:
            print(f"{self.path}: goes on in epoch {len(run.history) + 1}, after {run.step} batches of it", flush=True)

    def save(self, run):
        if rank() == 0:
            tg.save(self.path, about=self.about, where={name: getattr(run, name) for name in WHERE}, **self._objects(run))

    def _load(self, run):
        """Whether there is a file; then the run is where that is."""
        try:
            saved = tg.load(self.path)
        except FileNotFoundError:
            return False
        about = saved["about"] if isinstance(saved.get("about"), dict) else {}
        for key, wanted in self.about.items():
            if key not in about:
                raise ValueError(f"it does not tell its {key}")
            if about[key] != wanted:
                raise ValueError(f"it is of another {key}" + (
                    f", {about[key]} and not {wanted}" if len(f"{about[key]}{wanted}") < 24 else ""))
        where = {name: saved["where"][name] for name in WHERE}
        tg.load(self.path, **self._objects(run))
        vars(run).update(where)
        return True

    def _objects(self, run):
        weights = {f"weights.{name}": parameter for name, parameter in parameters(run.model).items()}
        weights |= {f"best_weights.{name}": array for name, array in run.best_weights.items()}
        return {**weights, "optimizer": run.optimizer, "rng": run.rng, "generator": tg.generator()}

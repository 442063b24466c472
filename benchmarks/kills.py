"""kill -9 at random moments: does every resumed run end with the same weights bit for bit, and is every file whole?

    python benchmarks/kills.py --kills 20

The LSTM of the examples is trained on a few of the names, in a folder of its own: once to its end, and then again and again
with a checkpoint, killed at a random moment of its life, its start included, and gone on with. The exit code says it.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import safetensors.numpy

import tapegrad as tg

LSTM = Path(__file__).parents[1] / "examples" / "train_lstm.py"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, str(LSTM), "--quick", "--no-compile", "--num-hid", "32",
                   "--epochs", str(options.epochs), "--names", ""]            # not compiled, as it is with a checkpoint
        start = time.perf_counter()
        subprocess.run([*command, "--out", "whole"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        lasts = time.perf_counter() - start
        wanted = (folder / "whole" / "weights.safetensors").read_bytes()
        (folder / "run").mkdir()
        kills = ends = 0
        while kills < options.kills:
            process = subprocess.Popen([*command, "--out", "killed", "--overwrite", "--checkpoint", "run/checkpoint"],
                                       cwd=folder, stdout=subprocess.DEVNULL)
            try:
                process.wait(moments.uniform(0.1, 1.0) * lasts)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
            for path in (folder / "run").iterdir():
                print(f"killed {kills} times; {path.name}: {len(tg.load(path)['where']['history'])} epochs", flush=True)
            for path in folder.glob("killed/*.safetensors"):
                safetensors.numpy.load_file(path)
            if process.returncode == 0:
                ends += 1
                assert (folder / "killed" / "weights.safetensors").read_bytes() == wanted
                (folder / "run" / "checkpoint").unlink()
        subprocess.run([*command, "--out", "end", "--checkpoint", "run/checkpoint"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        assert (folder / "end" / "weights.safetensors").read_bytes() == wanted
        print(f"{kills} kills, {ends + 1} runs to the end: the same weights, bit for bit")


if __name__ == "__main__":
    main()

"""How many clean pages a step asks the system for."""

import os
import subprocess
import sys

COUNTED = """
import resource
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


def faults(text, **environment):
    """Page faults in a call of step(), which the text defines, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", text + COUNTED], env=os.environ | environment, capture_output=True, text=True,
                          check=True)
    return float(done.stdout)

"""Weights in a safetensors file, with all that it takes to classify names again: alphabet, labels, hyper-parameters."""

import json
from contextlib import contextmanager

import safetensors
import safetensors.numpy
from names_data import InputError
from training import parameters

from tapegrad.files import replacing

DESCRIPTION = {"kind", "recipe", "alphabet", "labels", "max_len", "num_hid"}     # what a file must say of its weights


@contextmanager
def writing(path):
    """`with writing(path) as file:` the file replaces `path` when it is complete; InputError if it can't."""
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def save(path, model, about):
    """Write the parameters of a model, and `about`, a dict that can be JSON."""
    arrays = {name: parameter.numpy() for name, parameter in parameters(model).items()}
    with writing(path) as file:
        file.write(safetensors.numpy.save(arrays, metadata={"about": json.dumps(about, ensure_ascii=False)}))


def read(path):
    """(arrays by name, about) of a file that `save` wrote."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["about"])
            if missing := DESCRIPTION - about.keys():
                raise ValueError(f"nothing is said of {', '.join(sorted(missing))}")
            return {name: file.get_tensor(name) for name in file.keys()}, about
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (safetensors.SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: these are not weights that an example has saved ({error})") from None


def put(path, arrays, model):
    """Give the arrays that were read from `path` to the parameters of the same names and shapes."""
    shapes = {name: parameter.shape for name, parameter in parameters(model).items()}
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes:
        raise InputError(f"{path}: the file holds {found}, and the model is of {shapes}")
    for name, parameter in parameters(model).items():
        parameter.data[...] = arrays[name]

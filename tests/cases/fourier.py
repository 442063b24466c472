"""Rows of complex numbers and their transforms, on real operands; test_complex.py has the complex ones."""

import numpy as np

from cases.case import Case

AXES = [(axes, norm) for axes in ((0,), (1,), (1, 0)) for norm in ("backward", "ortho", "forward")]
MATRIX = [((3, 4),), ((1, 2),)]

CASES = [
    Case("conjugate"), Case("real"), Case("imag"),
    Case("fft", static=AXES, shapes=MATRIX, reference=lambda x, axes, norm: np.fft.fftn(x, axes=axes, norm=norm)),
    Case("ifft", static=AXES, shapes=MATRIX, reference=lambda x, axes, norm: np.fft.ifftn(x, axes=axes, norm=norm)),
    Case("rfft", static=[(axes[0], norm) for axes, norm in AXES], shapes=[*MATRIX, ((2, 5),)],
         reference=lambda x, axis, norm: np.fft.rfft(x, axis=axis, norm=norm)),
    Case("irfft", static=((4, 0, "backward"), (5, 0, "ortho"), (5, 0, "forward")), shapes=[((3, 4),), ((3, 1),)],
         reference=lambda x, n, axis, norm: np.fft.irfft(x, n, axis, norm)),
]

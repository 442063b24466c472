"""The elementwise kernels: accuracy against longdouble and mpmath, layouts, warnings, caching, life without a compiler."""
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import mpmath
import numpy as np
import pytest

import tapegrad
from tapegrad.kernels import elementwise as kernels
from tapegrad.primitives.scalar import source

RULES = {
    'sigmoid': lambda F, d, z, _x: d * (z * (1 - z)),
    'tanh': lambda F, d, z, _x: d * (1 - z * z),
    'relu': lambda F, d, z, _x: F.where(z > 0, d, 0),
}
READS = 'd', 'z'
NAMES = list(RULES)
DTYPES = np.float32, np.float64
BOUND = {'sigmoid': 2.75, 'tanh': 3.25, 'relu': 0}
SPECIAL = (   # x, then sigmoid, tanh and relu of it
    (np.inf, 1, 1, np.inf), (-np.inf, 0, -1, 0), (0.0, 0.5, 0.0, 0.0), (-0.0, 0.5, -0.0, -0.0), (np.nan, np.nan, np.nan, np.nan),
    (-np.nan, np.nan, np.nan, np.nan), (1e30, 1, 1, 1e30), (-1e30, 0, -1, 0))

pytestmark = pytest.mark.skipif(kernels.compiler() is None, reason='numba is missing or switched off')


def exact(name, x):
    x = mpmath.mpf(float(x))
    return {'sigmoid': lambda: 1 / (1 + mpmath.exp(-x)), 'tanh': lambda: mpmath.tanh(x), 'relu': lambda: max(x, mpmath.mpf(0))}[name]()


def longdouble(name, x):
    x = x.astype(np.longdouble)
    e = np.exp(-np.abs(x))
    return {'sigmoid': lambda: np.where(x < 0, e, 1) / (1 + e), 'tanh': lambda: np.tanh(x), 'relu': lambda: np.maximum(x, 0)}[name]()


def samples(dtype, n=60000):
    rng = np.random.default_rng(1)
    low, tiny = (-104, -44) if dtype is np.float32 else (-745.5, -322)
    size = 10.0 ** rng.uniform(tiny, 2.5, n) * rng.choice([-1, 1], n)
    return np.concatenate([rng.uniform(low, 40, n), rng.uniform(-1, 1, n), rng.uniform(-20, 20, n), size]).astype(dtype)


def errors(z, true):
    return np.abs(z.astype(np.longdouble) - true) / np.spacing(np.abs(true).astype(z.dtype))


def compiled(name, rule, reads):
    return kernels.derivative(name, source(rule, reads, name), len(reads), __file__)


def derivative(name):
    return compiled(f'{name}_derivative', RULES[name], READS)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name', NAMES)
def test_accuracy(name, dtype):
    x = samples(dtype)
    z = kernels.forward(name)(x)
    assert z.dtype == dtype
    if np.finfo(np.longdouble).nmant > 60:
        assert errors(z, longdouble(name, x)).max() <= BOUND[name]
    with mpmath.workprec(120):
        for a in x[::400]:
            true, z = exact(name, a), kernels.forward(name)(a)
            ulp = mpmath.mpf(float(np.spacing(np.abs(dtype(float(true))))))
            assert abs(mpmath.mpf(float(z)) - true) <= BOUND[name] * ulp, a


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name, units', [('erf', 2.5), ('erfc', 4.5), ('gelu', 5)])
def test_accuracy_of_the_error_function(name, units, dtype):
    """Down to the smallest denormal numbers of the tails."""
    rng, end = np.random.default_rng(0), 14 if dtype is np.float32 else 38
    x = np.concatenate([rng.uniform(-end, end, 300), rng.uniform(-2, 2, 200), 10.0 ** rng.uniform(-8, 0, 100)]).astype(dtype)
    true_of = {'erf': mpmath.erf, 'erfc': mpmath.erfc, 'gelu': lambda a: a * mpmath.erfc(-a / mpmath.sqrt(2)) / 2}[name]
    with mpmath.workprec(160):
        for a, z in zip(x, kernels.forward(name)(x)):
            true = true_of(mpmath.mpf(float(a)))
            assert abs(mpmath.mpf(float(z)) - true) <= units * mpmath.mpf(float(np.spacing(np.abs(dtype(float(true)))))), a


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('n', (1, 40))
def test_special_values(name, dtype, n):
    for x, *results in SPECIAL:
        z = kernels.forward(name)(np.full(n, x, dtype))
        np.testing.assert_array_equal(z, np.full(n, results[NAMES.index(name)], dtype))
        if name != 'sigmoid' and x == 0:
            assert (np.signbit(z) == np.signbit(x)).all()


@pytest.mark.parametrize('dtype', DTYPES)
def test_small_numbers_stay(dtype):
    x = np.concatenate([[np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny], np.full(40, np.finfo(dtype).tiny / 8)]).astype(dtype)
    for name in 'tanh', 'relu':
        np.testing.assert_array_equal(kernels.forward(name)(x), x)
    np.testing.assert_array_equal(kernels.forward('tanh')(-x), -x)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name', NAMES)
def test_derivatives(name, dtype):
    z = kernels.forward(name)(samples(dtype, 5000))
    d = np.random.default_rng(2).standard_normal(z.size).astype(dtype)
    wide, delta = z.astype(np.longdouble), d.astype(np.longdouble)
    true = {'sigmoid': delta * wide * (1 - wide), 'tanh': delta * (1 - wide * wide), 'relu': np.where(wide > 0, delta, 0)}[name]
    result = derivative(name)(d, z)
    assert result.dtype == dtype
    scale = np.abs(delta) * np.abs(wide if name == 'sigmoid' else 1)
    assert (np.abs(result - true) <= 2 * np.finfo(dtype).eps * scale + np.finfo(dtype).smallest_subnormal).all()
    assert np.isnan(derivative(name)(np.full(40, np.nan, dtype), np.full(40, 0.5, dtype))).all()
    if name != 'relu':   # as in the rule: NaN > 0 is false
        assert np.isnan(derivative(name)(np.ones(40, dtype), np.full(40, np.nan, dtype))).all()


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('n', (0, 1, 2, 31, 32, 33, 511, 512, 513, 1500))
@pytest.mark.parametrize('name', NAMES)
def test_layouts(name, n, dtype):
    f, df = kernels.forward(name), derivative(name)
    rng = np.random.default_rng(3)
    x, d = rng.standard_normal((2, n)).astype(dtype)
    z = np.array([f(a) for a in x], dtype)
    g = np.array([df(a, b) for a, b in zip(d, z)], dtype)
    np.testing.assert_array_max_ulp(f(x), z, 2)
    for step in 2, 3, -1:
        wide = np.zeros((n, abs(step)), dtype).reshape(-1)[::step]
        wide[:] = x
        np.testing.assert_array_max_ulp(f(wide), z, 2)
        out = np.zeros((n, abs(step)), dtype).reshape(-1)[::step]
        assert f(x, out=out) is out
        np.testing.assert_array_max_ulp(out, z, 2)
        np.testing.assert_array_max_ulp(f(wide, out=wide), z, 2)
    np.testing.assert_array_max_ulp(f(x.copy().reshape(1, n)), z.reshape(1, n), 2)
    for target in 'd', 'z', None:
        a, b = d.copy(), z.copy()
        out = {'d': a, 'z': b, None: np.empty_like(d)}[target]
        assert df(a, b, out=out) is out
        np.testing.assert_allclose(out, g, 8 * np.finfo(dtype).eps, 1e-6 if dtype is np.float32 else 1e-15)
    overlap = np.concatenate([x, x[:1]])
    np.testing.assert_array_max_ulp(f(overlap[:-1], out=overlap[1:]), z, 2)
    np.testing.assert_array_equal(df(dtype(1), z), df(np.ones(n, dtype), z))


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name', NAMES)
def test_large_arrays(name, dtype):
    """Derivatives of 8 MiB and more are written past the caches: the same bits as by parts, at every offset, and nothing beside."""
    n = (8 << 20) // np.dtype(dtype).itemsize + 700
    z, d = np.random.default_rng(6).normal(size=(2, n)).astype(dtype)
    parts = np.concatenate([derivative(name)(d[i:i + 1000], z[i:i + 1000]) for i in range(0, n, 1000)])
    for offset in 0, 1, 15:
        out = np.full(n + 20, 7, dtype)
        derivative(name)(d, z, out=out[offset:offset + n])
        assert out[offset:offset + n].tobytes() == parts.tobytes()
        assert (out[:offset] == 7).all() and (out[offset + n:] == 7).all()
    assert derivative(name)(d[1:], z[1:]).tobytes() == parts[1:].tobytes()


def test_matrices_and_scalars():
    f = kernels.forward('sigmoid')
    x = np.random.default_rng(4).standard_normal((37, 53)).astype(np.float32)
    for y in x, x.T, x[::2, ::3], x[:, 5:50], x[::-1], np.asfortranarray(x), x.astype('>f4'), np.broadcast_to(x[0], (4, 53)):
        np.testing.assert_allclose(f(y), 1 / (1 + np.exp(-y)), 1e-6)
    packed = np.zeros(50, [('a', 'i1'), ('x', 'f4')])   # unaligned
    np.testing.assert_array_equal(f(packed['x']), np.full(50, 0.5, np.float32))
    assert f(np.float32(0)).dtype == np.float32 and f(np.zeros((), np.float32)).shape == ()
    assert f(0.0) == 0.5 and f(0).dtype == np.float64
    assert f(np.arange(3)).dtype == np.float64 and f(np.zeros(2, np.float16)).dtype == np.float32
    with pytest.raises(TypeError):
        f(np.zeros(2, complex))


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name', NAMES)
def test_no_warnings(name, dtype):
    for value in *(row[0] for row in SPECIAL), 100, -60, 1e-30, 1.0:
        for n in 1, 100:
            x = np.full(2 * n, value, dtype)
            with np.errstate(all='raise', under='ignore'):
                z = kernels.forward(name)(x)
                kernels.forward(name)(x[::2])
                derivative(name)(np.full(2 * n, np.nan, dtype), z)
                if np.isnan(value) or np.isfinite(z[0]):
                    derivative(name)(np.full(2 * n, 3, dtype), np.clip(z, -1, 1))


def test_tanh_and_sigmoid_are_monotonic_at_the_ends():
    for dtype in DTYPES:
        x = np.linspace(8, 45, 20000).astype(dtype)
        for name in 'sigmoid', 'tanh':
            z = kernels.forward(name)(x)
            assert (z <= 1).all() and z[-1] == 1


def test_source():
    assert source(RULES['tanh'], READS, 'tanh') == 'def tanh(d, z):\n    return (d * (number(1) - (z * z)))'
    assert source(RULES['relu'], READS, 'relu') == 'def relu(d, z):\n    return where(positive(z), d, number(0))'
    assert derivative('tanh').__doc__.endswith('return (d * (number(1) - (z * z)))')


# rules outside today's table, and what they are over arrays
MORE = [
    lambda F, d, z, x: d * F.exp(x) / (1 + x ** 2) - 0.1,
    lambda F, d, z, x: F.where(x < 0, d, -d) * F.sign(x) + 2.5 ** x,
    lambda F, d, z, x: F.maximum(d, x) * F.minimum(d, 0.3) + x ** -2 + abs(x) ** 0.5,
    lambda F, d, z, x: F.where(F.less_equal(d, x), F.log(abs(x)), F.sqrt(x * x)) * (1 >= x),
    lambda F, d, z, x: F.where(d >= x, F.zeros_like(d), F.cos(x)) + F.where(F.equal(x, d), 1, np.float32(3) * x) - (x != 0),
    lambda F, d, z, x: F.where((x > d), F.power(x, 3), F.absolute(F.sin(x))) / np.pi,
]


@pytest.mark.parametrize('k', range(len(MORE)))
def test_other_rules(k):
    ufunc = compiled('other', MORE[k], ('d', 'x'))
    rng = np.random.default_rng(5)
    for dtype, tolerance in zip(DTYPES, (3e-5, 1e-12)):
        d, x = rng.uniform(-3, 3, (2, 200)).astype(dtype)
        x[::7] = d[::7]
        z = ufunc(d, x)
        assert z.dtype == dtype
        np.testing.assert_allclose(z, MORE[k](np, d, None, x), tolerance, tolerance)


def test_comparisons_of_nan_and_zeros():
    """Each is a bit of the result."""
    def of_two(F, d, z, x):
        return F.where(d > x, 1, 0) + F.where(d >= x, 2, 0) + F.where(d < x, 4, 0) + F.where(d <= x, 8, 0)

    def of_zero(F, d, z, x):
        return F.where(d < 0, 1, 0) + F.where(d > 0, 2, 0) + 0 * x

    values = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1, -1, 1e-320, -1e-320, 1e-40, -1e-40])
    d, x = (a.ravel() for a in np.meshgrid(values, values))
    for rule, other in ((of_two, x), (of_zero, np.ones_like(x))):
        ufunc = compiled('compare', rule, ('d', 'x'))
        for dtype in DTYPES:
            a, b = d.astype(dtype), other.astype(dtype)
            with np.errstate(all='raise'):
                result = ufunc(a, b)
            np.testing.assert_array_equal(result, rule(np, a, None, b))


@pytest.mark.parametrize('rule, error', [
    (lambda F, d, z, x: d if x > 0 else z, TypeError),
    (lambda F, d, z, x: d * x, ValueError),
    (lambda F, d, z, x: d * np.ones(3), TypeError),
    (lambda F, d, z, x: F.where(d, z, 0), TypeError),
    (lambda F, d, z, x: None, TypeError),
    (lambda F, d, z, x: F.matmul(d, z), AttributeError),
])
def test_rules_that_cannot_be_kernels(rule, error):
    with pytest.raises(error):
        compiled('bad', rule, READS)


def test_unknown_name():
    with pytest.raises(ValueError, match='sigmoid'):
        kernels.forward('softsign')


def test_same_name_other_rule():
    one = compiled('twin', lambda F, d, z, _x: d + z, READS)
    two = compiled('twin', lambda F, d, z, _x: d - z, READS)
    assert (one(3.0, 1.0), two(3.0, 1.0)) == (4, 2)
    assert derivative('tanh') is derivative('tanh') and kernels.forward('tanh') is kernels.forward('tanh')


def fresh(package, code, **environment):
    """Run `code` in a new process that imports the copy of tapegrad in `package`."""
    load = ('import sys, warnings; warnings.simplefilter("error"); import numpy as np\n'
            'from tapegrad.kernels import elementwise as kernels; from tapegrad.primitives.scalar import source\n')
    run = subprocess.run([sys.executable, '-c', load + code], capture_output=True, text=True, check=False,
                         cwd=package.parent, env={**os.environ, 'PYTHONPATH': str(package.parent), **environment})
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(Path(tapegrad.__file__).parent, tmp_path / 'tapegrad', ignore=shutil.ignore_patterns('__pycache__'))


CHECK = '''
x = np.array([-1000, -1, 0, 2, np.nan], np.float32)
s, t, r = (kernels.forward(name)(x) for name in ("sigmoid", "tanh", "relu"))
np.testing.assert_allclose(s, [0, 0.26894143, 0.5, 0.880797, np.nan], 1e-6)
np.testing.assert_allclose(t, [-1, -0.7615942, 0, 0.9640276, np.nan], 1e-6)
np.testing.assert_array_equal(r, np.array([0, 0, 0, 2, np.nan], np.float32))
assert kernels.forward("sigmoid")(x, out=s) is s and s.dtype == t.dtype == r.dtype == np.float32
text = source(lambda F, d, z, _x: d * (1 - z * z), ("d", "z"), "tanh")
df = kernels.derivative("tanh", text, 2, kernels.__file__)
assert df is None or df(2.0, 0.5) == 1.5
print(type(kernels.forward("sigmoid")).__name__, df is None)
'''


def test_importing_compiles_nothing(copy):
    """What a process has loaded is asked of a fresh one: sys.modules is its public answer."""
    assert fresh(copy, 'print("numba" in sys.modules, "llvmlite" in sys.modules)') == ['False', 'False']


def test_without_jit(copy):
    assert fresh(copy, CHECK, NUMBA_DISABLE_JIT='1') == ['function', 'True']


def test_without_numba(copy):
    assert fresh(copy, 'sys.modules["numba"] = None\n' + CHECK) == ['function', 'True']


def test_nowhere_to_write_a_cache(copy):
    for folder in copy, *[path for path in copy.rglob('*') if path.is_dir()]:
        (folder / '__pycache__').write_text('')         # a file where the directory would be: unwritable for root, too
    home = {k: '/dev/null' for k in ('HOME', 'XDG_CACHE_HOME', 'NUMBA_CACHE_DIR')}
    assert fresh(copy, CHECK, **home, PYTHONDONTWRITEBYTECODE='1') == ['ufunc', 'False']


def test_cache_is_used_and_healed(copy, tmp_path):
    cache = tmp_path / 'cache'
    hits = 'import numba.core.caching as c; n = []; old = c.FunctionCache.save_overload\n' \
           'c.FunctionCache.save_overload = lambda self, *a: (n.append(1), old(self, *a))\n' \
           'f = kernels.forward("relu"); print(f(np.float32(-1)), len(n))'
    assert fresh(copy, hits, NUMBA_CACHE_DIR=str(cache)) == ['0.0', '2']
    assert fresh(copy, hits, NUMBA_CACHE_DIR=str(cache)) == ['0.0', '0']
    for file in cache.rglob('*.nb[ic]'):
        file.write_bytes(b'garbage')
    assert fresh(copy, hits, NUMBA_CACHE_DIR=str(cache))[0] == '0.0'
    for file in cache.rglob('*.nbc'):
        file.write_bytes(b'garbage')
    assert fresh(copy, hits, NUMBA_CACHE_DIR=str(cache))[0] == '0.0'
    assert fresh(copy, hits, NUMBA_CACHE_DIR=str(cache)) == ['0.0', '0']


# A network whose kernels all have work to do: what it gives where something that they rest on is not there.
NETWORK = '''
import tapegrad as tg
x = np.eye(80, dtype=np.float32)[np.arange(64)]
W, U, b = (tg.tensor(np.sin(np.arange(np.prod(s), dtype=np.float32)).reshape(s), requires_grad=True) for s in ((80, 32), (32, 32), 32))
h = tg.tensor(x) @ W + b
for _ in range(3):
    h = tg.tanh(h @ U + b) + tg.tensor(x) @ W
loss = tg.cross_entropy(h[:, :5] + W[np.arange(64)][:, :5], np.arange(64) % 5) + tg.softmax(h[:, :5] * 1.0, 1)[0, 0]
loss.backward()
tg.optim.Adam([W, U, b], lr=0.01).step()
tg.wengert.eval([("z", "add", ("x", "x"))], {"x": 1.0})
found = np.concatenate([p.data.ravel() for p in (W, U, b)])
'''
# name: (what is done before, what may be said)
BROKEN = {
    'nothing': ('', ''),
    "numba's way to make a ufunc": ('from numba.np.ufunc import _internal; del _internal.fromfunc', 'falling back to NumPy for'),
    "numba's compiled function": (
        'import numba.core.dispatcher as d; del d._DispatcherBase.get_overload', 'falling back to NumPy for'),
    "numba's types": ('import numba.extending; del numba.extending.unbox', 'falling back to NumPy for'),
    "NumPy's extension module": ('import ctypes; old = ctypes.CDLL; ctypes.CDLL = lambda *a, **k: open("/missing") if "umath" in str(a) else old(*a, **k)',
                                 ''),
    'the layout of objects': ('from tapegrad.kernels import compile; compile.known_layout = lambda: False', ''),
    'the C library': ('import ctypes; old = ctypes.CDLL; ctypes.CDLL = lambda *a, **k: object() if a == (None,) else old(*a, **k)', ''),
    'numba': ('sys.modules["numba"] = None', ''),
}


@pytest.fixture(scope='module')
def expected():
    return network('')


def network(before):
    """(the parameters after a step of the network, the warnings), in a new process."""
    code = ('import sys, warnings; import numpy as np\n' + before + '\nwith warnings.catch_warnings(record=True) as seen:\n'
            '    warnings.simplefilter("always")\n' + '\n'.join('    ' + line for line in NETWORK.splitlines()) +
            '\nprint(found.tobytes().hex())\nfor one in seen: print(one.category.__name__, one.message)')
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    data, *said = run.stdout.splitlines()
    return np.frombuffer(bytes.fromhex(data), np.float32), said


@pytest.mark.parametrize('what', BROKEN)
def test_what_kernels_rest_on_may_be_missing(what, expected):
    """The step is the same, to rounding; what fails unexpectedly is said."""
    before, said = BROKEN[what]
    found, warned = network(before)
    np.testing.assert_allclose(found, expected[0], rtol=1e-4, atol=1e-4)
    assert bool(warned) == bool(said) and all(f'RuntimeWarning tapegrad: {said}' in line for line in warned), warned


def test_threads():
    rule = lambda F, d, z, _x: d * (z + 7)
    found = []
    threads = [threading.Thread(target=lambda: found.append(compiled('threads', rule, READS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1 and found[0](2.0, 1.0) == 16


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_norms_of_equal_numbers_are_exact(dtype):
    x, W, b = np.full((6, 4, 250), 3.3, dtype), *np.array([[0.5, -1.5, 2.5, 0.1], [0.1, 0.3, -0.7, 3.1]], dtype)
    expected = np.broadcast_to(b[:, None], x.shape)
    np.testing.assert_array_equal(tapegrad.group_norm(x, 2, W, b).data, expected)
    np.testing.assert_array_equal(tapegrad.layer_norm(x, 250).data, 0)

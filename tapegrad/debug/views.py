"""The methods for reading entries that tapes and traces share. Their modules are imported when a method is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapegrad.core.tape import TapeBase, tapes_are

if TYPE_CHECKING:
    import os

    from tapegrad.debug.blame import Blame
    from tapegrad.debug.check import Check
    from tapegrad.debug.draw import Drawing
    from tapegrad.debug.explore import Explorer
    from tapegrad.debug.memory import Memory
    from tapegrad.debug.profile import Profile
    from tapegrad.debug.table import Table


class Views:
    """The methods of a tape and of a trace."""

    __slots__ = ()

    def show(self, first: int | None = None, last: int | None = None) -> Table:
        """The entries as a table, those at positions first:last. See debug/show.py.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> loss = tg.sum(tg.square(x))
        >>> [row["entry"] for row in tg.tape().show().rows]
        ['z1 = square(x)', 'loss = sum(z1, axis=None, keepdims=False)']
        """
        from tapegrad.debug.show import show
        return show(self, first, last)

    def draw(self, path: Any = None, format: str | None = None, fold: bool = True, constants: bool = False) -> Drawing:
        """The entries as a drawing, in which the time steps of a loop are one node. See debug/draw.py.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> loss = tg.sum(tg.square(x))
        >>> tg.tape().draw(format="dot")[:14]
        'digraph tape {'
        """
        from tapegrad.debug.draw import draw
        return draw(self, path, format, fold, constants)

    def memory(self) -> Memory:
        """The bytes kept for backward(), by operation and line. See debug/memory.py.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> loss = tg.sum(tg.square(x))
        >>> tg.tape().memory().given
        16
        """
        from tapegrad.debug.memory import memory
        return memory(self)

    def profile(self) -> Profile:
        """The time that operators and derivatives took. See debug/profile.py.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.traced() as t:
        ...     loss = tg.sum(tg.square(x))
        >>> t.profile().forward > 0.0
        True
        """
        from tapegrad.debug.profile import profile
        return profile(self)

    def check(self, rtol: float = 1e-4, atol: float = 1e-6) -> Check:
        """Compare every derivative with central differences at the recorded values. See debug/check.py.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.traced(values=True) as t:
        ...     loss = tg.sum(tg.square(x))
        >>> t.check().wrong
        []
        """
        from tapegrad.debug.check import check
        return check(self, rtol, atol)

    def blame(self) -> Blame:
        """The first entry, forward or backward, that is NaN or infinite, and why. See debug/blame.py.

        >>> x = tg.tensor([1.0, 0.0], requires_grad=True, name="x")
        >>> with np.errstate(divide="ignore"):
        ...     y = tg.log(x)
        >>> tg.tape().blame().why
        'log of zero: log(0) = -inf'
        """
        from tapegrad.debug.blame import blame
        return blame(self)

    def explore(self, path: str | os.PathLike[str] | None = None) -> Explorer:
        """One HTML page that steps through the entries, forward and in the reverse sweep. See debug/explore.py.

        path   the file to write, atomically; without one, a notebook shows the page

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> loss = tg.sum(tg.square(x))
        >>> tg.tape().explore().data["steps"]
        [0, 1, -2, -1]
        """
        from tapegrad.debug.explore import explore
        return explore(self, path)

    def _repr_html_(self) -> str:
        return self.show()._repr_html_()


@tapes_are
class Tape(Views, TapeBase):
    __doc__ = TapeBase.__doc__
    __slots__ = ("__weakref__",)

"""Cells, initializers, optimizers, schedules, tasks, probes and rules of one's own: decorators with checked names."""

import re
from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar

from rnnjax.analysis.rules import RULES
from rnnjax.errors import BadInput
from rnnjax.networks.cells import CELLS
from rnnjax.networks.initializers import INITIALIZERS
from rnnjax.probes import PROBES
from rnnjax.tasks import TASKS
from rnnjax.training.optimizers import OPTIMIZERS
from rnnjax.training.schedules import SCHEDULES

Factory = TypeVar("Factory", bound=Callable[..., Any])
Decorator = Callable[[Factory], Factory]
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def register_cell(name: str, *, replace: bool = False) -> Decorator[Any]:
    """Decorator: a factory (spec, hp) -> Cell becomes a value of `Spec.cell`; see `CELLS`.

    Args: replace: allow a name that is taken.

    Raises: BadInput for a name that is taken, or not of small letters, digits and underscores; for what is no function.

    Example:
        >>> from rnnjax.networks.cells import build_cell
        >>> @rj.register_cell("soft")
        ... def soft(spec, hp):
        ...     return build_cell(spec, hp, ("new",), lambda params, h, u, r: (u + r) / (1 + abs(u + r)))
        >>> "soft" in rj.CELLS
        True
    """
    return into(CELLS, "cell", name, replace)


def register_initializer(name: str, *, replace: bool = False) -> Decorator[Any]:
    """Decorator: a function (key, shape, gain) -> array becomes a value of the initializers of `Spec`.

    Args and Raises: as `register_cell`.

    Example:
        >>> @rj.register_initializer("tiny_normal")
        ... def tiny_normal(key, shape, gain):
        ...     return 0.01 * gain * jax.random.normal(key, shape)
        >>> "tiny_normal" in rj.INITIALIZERS
        True
    """
    return into(INITIALIZERS, "initializer", name, replace)


def register_optimizer(name: str, *, replace: bool = False) -> Decorator[Any]:
    """Decorator: a factory hp -> optax.GradientTransformation becomes a value of `Spec.optimizer`.

    It maps the clipped gradient to a direction; the learning rate and its schedule are applied after it.

    Args and Raises: as `register_cell`.

    Example:
        >>> import optax
        >>> @rj.register_optimizer("lion")
        ... def lion(hp):
        ...     return optax.scale_by_lion(hp.adam_b1, hp.adam_b2)
        >>> rj.train(rj.Spec(hidden=4, window=10, steps=25, optimizer="lion"), task=text, seeds=1, progress="none").step
        25
    """
    return into(OPTIMIZERS, "optimizer", name, replace)


def register_schedule(name: str, *, replace: bool = False) -> Decorator[Any]:
    """Decorator: a function (hp, step) -> factor on the learning rate becomes a value of `Spec.schedule`.

    Args and Raises: as `register_cell`.

    Example:
        >>> @rj.register_schedule("inverse_root")
        ... def inverse_root(hp, step):
        ...     return (1 + step / hp.decay_steps) ** -0.5
        >>> "inverse_root" in rj.SCHEDULES
        True
    """
    return into(SCHEDULES, "schedule", name, replace)


def register_task(name: str, *, replace: bool = False) -> Decorator[Any]:
    """Decorator: a factory (settings, source) -> Task becomes a value of `TaskSpec.name`.

    `source` is the text of the user's file for the tasks "text" and "series", else None.

    Args and Raises: as `register_cell`.

    Example:
        >>> @rj.register_task("abc")
        ... def abc(settings, source):
        ...     return rj.text_task("abc\\n" * settings.length)
        >>> "abc" in rj.TASKS
        True
    """
    return into(TASKS, "task", name, replace)


def register_probe(name: str, *, replace: bool = False) -> Decorator[Any]:
    """Decorator: a factory (spec, task) -> Probe, a measurement between two chunks of a study's training.

    Args and Raises: as `register_cell`.

    Example:
        >>> from rnnjax.types import Probe, no_summary
        >>> @rj.register_probe("readout_size")
        ... def readout_size(spec, task):
        ...     def measure(state, hp, step):
        ...         return {"readout_norm": jax.numpy.linalg.norm(state.params["readout"]["kernel"])}
        ...     return Probe(measure, no_summary)
        >>> "readout_size" in rj.PROBES
        True
    """
    return into(PROBES, "probe", name, replace)


def register_rule(name: str, *, replace: bool = False) -> Decorator[Any]:
    """Decorator: a function (criterion, arms) -> list of Measurement becomes a rule that judges claims.

    Args and Raises: as `register_cell`.

    Example:
        >>> from rnnjax.analysis.rules import bound_rule
        >>> @rj.register_rule("below_two")
        ... def below_two(criterion, arms):
        ...     return bound_rule(replace(criterion, high=2.0), arms)
        >>> "below_two" in rj.RULES
        True
    """
    return into(RULES, "rule", name, replace)


def into(table: MutableMapping[str, Any], kind: str, name: str, replace: bool) -> Decorator[Any]:
    """A decorator that enters a function into a table. Raises: BadInput."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadInput(f"register_{kind}: got {name!r}; expected a name of small letters, digits and underscores")
    if name in table and not replace:
        raise BadInput(f"register_{kind}: {name!r} is taken; expected another name, or replace=True")

    def register(factory: Factory) -> Factory:
        if not callable(factory):
            raise BadInput(f"register_{kind}: got {type(factory).__name__}; expected a function")
        table[name] = factory
        return factory

    return register

"""Networks from here as programs that run elsewhere: StableHLO."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import export

from rnnjax.api.arguments import choose_name
from rnnjax.api.export_forms import reads_ids
from rnnjax.api.networks import Network
from rnnjax.errors import BadInput
from rnnjax.interop.stablehlo import PROGRAMS, export_program
from rnnjax.networks.model import build_network, require_unidirectional
from rnnjax.storage.files import atomic_write


def to_stablehlo(
    network: Network,
    file: str | PathLike[str] | None = None,
    *,
    program: str = "window",
    platforms: tuple[str, ...] | None = None,
) -> export.Exported:
    """A network as a StableHLO program, which runs without rnnjax for any number of streams B and steps T.

    `jax.export.deserialize(bytearray(data)).call(carry, x)` of the file's bytes gives (carry, y). The parameters are
    constants of the program. The initial carry is `network.initial_carry(B)`, zeros of the same structure by default.

    Args:
        file: where the serialised program is written; None = nowhere.
        program: "window": (carry, x [T, B, D] or ids [T, B]) -> (carry, y [T, B, O]). "padded_window": (carry, x,
            lengths [B]) -> the same. "step": (carry, x [B, D] or ids [B]) -> (carry, y [B, O]).
        platforms: where it shall run: "cpu", "cuda", "rocm", "tpu"; None = where it is exported.

    Raises: BadInput for an unknown program or platform, or a step of a bidirectional network. StorageFailed.

    Example:
        >>> exported = rj.to_stablehlo(network, "network.stablehlo", program="step")
        >>> import pathlib, jax.export
        >>> step = jax.export.deserialize(bytearray(pathlib.Path("network.stablehlo").read_bytes()))
        >>> carry, logits = step.call(network.initial_carry(3), jax.numpy.zeros(3, "int32"))
        >>> logits.shape
        (3, 9)
    """
    if not isinstance(network, Network):
        raise BadInput(f"network: got {type(network).__name__}; expected a Network, as of load_network or run.network")
    choose_name("program", program, PROGRAMS)
    if program == "step":
        require_unidirectional(network.spec)
    for name in platforms or ():
        choose_name("platforms", name, ("cpu", "cuda", "rocm", "tpu"))
    model = build_network(replace(network.spec, remat=0, recurrence="scan"), network.hp)
    exported = export_program(program, model, network.params, network.hp, input_type(network), platforms)
    if file is not None:
        with atomic_write(Path(file)) as stream:
            stream.write(exported.serialize())
    return exported


def input_type(network: Network) -> jax.ShapeDtypeStruct:
    """The type of the input of one step: an id, or a vector [D]."""
    if reads_ids(network):
        return jax.ShapeDtypeStruct((), jnp.int32)
    return jax.ShapeDtypeStruct((network.spec.inputs,), network.params["readout"]["bias"].dtype)

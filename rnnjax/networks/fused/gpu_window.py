"""Windows of tanh Elman networks as one Pallas program for each run, for GPUs: the kernel of a run stays on the chip.

Not used by any setting: it has never run on a GPU, and is checked in Pallas' interpreter only. `scripts/gpu_check.py`
runs it beside the scan. The grid of the program are the runs R, written out: Pallas' lowering for GPUs refuses `vmap`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl

EXACT = jax.lax.Precision.HIGHEST


def forward_program(kernel_ref: Any, input_ref: Any, start_ref: Any, states_ref: Any) -> None:
    """h' = tanh(u + h W) for t = 1..T; references to W [H, H], u [T, B, H], h [B, H], and the states [T, B, H]."""
    kernel_HH = kernel_ref[...]

    def step(t: Array, h_BH: Array) -> Array:
        h_BH = jnp.tanh(input_ref[t] + jnp.dot(h_BH, kernel_HH, precision=EXACT))
        states_ref[t] = h_BH
        return h_BH

    jax.lax.fori_loop(0, input_ref.shape[0], step, start_ref[...])


def backward_program(
    kernel_ref: Any, start_ref: Any, states_ref: Any, d_ref: Any, d_kernel_ref: Any, d_input_ref: Any, d_start_ref: Any
) -> None:
    """The way back, with the kernel's gradient summed on the chip; `d_ref` is the gradient of the states."""
    kernel_HH, steps = kernel_ref[...], states_ref.shape[0]

    def step(i: Array, carried: tuple[Array, Array]) -> tuple[Array, Array]:
        t, (d_h_BH, d_kernel_HH) = steps - 1 - i, carried
        h_BH = states_ref[t]
        before_BH = jnp.where(t > 0, states_ref[jnp.maximum(t - 1, 0)], start_ref[...])
        d_BH = (d_h_BH + d_ref[t]) * (1 - h_BH * h_BH)
        d_input_ref[t] = d_BH
        d_kernel_HH += jnp.dot(before_BH.T, d_BH, precision=EXACT)
        return jnp.dot(d_BH, kernel_HH.T, precision=EXACT), d_kernel_HH

    zeros = jnp.zeros_like(start_ref[...]), jnp.zeros_like(kernel_HH)
    d_start_ref[...], d_kernel_ref[...] = jax.lax.fori_loop(0, steps, step, zeros)


def run_program(program: Any, outputs: Any, interpret: bool, *arguments: Array) -> Any:
    """One program for each run: arrays [R, ...]."""

    def of_run(leaf: Any) -> Any:
        return pl.BlockSpec((None, *leaf.shape[1:]), lambda run: (run, *[0] * (leaf.ndim - 1)))

    inputs, results = [of_run(leaf) for leaf in arguments], jax.tree.map(of_run, outputs)
    options = {} if interpret else {"compiler_params": triton_options()}
    call = pl.pallas_call(
        program,
        outputs,
        grid=arguments[0].shape[:1],
        in_specs=inputs,
        out_specs=results,
        interpret=interpret,
        **options,
    )
    return call(*arguments)


def triton_options() -> Any:
    """Pallas' Triton: its Mosaic has no product of matrices in this form (jax 0.10.2)."""
    from jax.experimental.pallas import triton  # deprecated since jax 0.11

    return triton.CompilerParams(num_warps=4)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def elman_windows(kernel_RHH: Array, start_RBH: Array, input_RTBH: Array, interpret: bool) -> Array:
    """The states h_RTBH of a window of R runs: h' = tanh(u + h W), from `start_RBH` on.

    Args: interpret: by Pallas' interpreter, on any device; else compiled for a GPU, where H and B are powers of two.
    """
    return windows_forward(kernel_RHH, start_RBH, input_RTBH, interpret)[0]


def windows_forward(
    kernel_RHH: Array, start_RBH: Array, input_RTBH: Array, interpret: bool
) -> tuple[Array, tuple[Array, ...]]:
    shape = jax.ShapeDtypeStruct(input_RTBH.shape, input_RTBH.dtype)
    states_RTBH = run_program(forward_program, shape, interpret, kernel_RHH, input_RTBH, start_RBH)
    return states_RTBH, (kernel_RHH, start_RBH, states_RTBH)


def windows_backward(interpret: bool, residuals: tuple[Array, ...], d_RTBH: Array) -> tuple[Array, Array, Array]:
    kernel_RHH, start_RBH, states_RTBH = residuals
    shape = partial(jax.ShapeDtypeStruct, dtype=kernel_RHH.dtype)
    outputs = shape(kernel_RHH.shape), shape(states_RTBH.shape), shape(start_RBH.shape)
    arguments = kernel_RHH, start_RBH, states_RTBH, d_RTBH
    d_kernel, d_input, d_start = run_program(backward_program, outputs, interpret, *arguments)
    return d_kernel, d_start, d_input


elman_windows.defvjp(windows_forward, windows_backward)

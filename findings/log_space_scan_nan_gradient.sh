#!/usr/bin/env bash
# JAX: the value of a log-space recurrence with zero inputs at the start is right, its gradient is NaN.
#
# Expected: h_t = a_t h_(t-1) + b_t with a > 0 and b >= 0 can be computed for all t at once in logarithms,
#   log h = A + cumlogsumexp(log b - A), A = cumsum(log a) (parallel training of gated linear networks). A zero input
#   is log 0 = -inf, which adds nothing: values and gradients are those of the scan.
# Instead (jax 0.10.2): if the first TWO inputs are zero, the gradient of lax.cumlogsumexp is NaN at these positions
#   and passes through A into a_1 and a_2, so that every parameter from which the gates a are computed
#   gets NaN. The values stay right. One leading zero is harmless. jnp.logaddexp has the same gradient at
#   (-inf, -inf), although it is right for one -inf beside a finite number.
#   Guarding the logarithm of b with jnp.where does not help: the NaN arises in the cumulative operation.
# Why it matters: silence before the stimulus (copying, delayed recall), left padding and ReLU inputs begin with
#   zeros. The loss is finite in the very step in which the gradient of the gates becomes NaN.
# Way around: a large finite number for log 0 (-1e30): values and gradients then equal those of the scan.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" -I - <<'PYTHON'
import sys
from importlib.metadata import version

import jax
import jax.numpy as jnp

STEPS = 4


def gates(weight):
    """a_t = sigmoid(w), one parameter for all steps."""
    return jnp.full(STEPS, jax.nn.sigmoid(weight))


def scan(decays, inputs):
    def step(h, pair):
        h = pair[0] * h + pair[1]
        return h, h

    return jax.lax.scan(step, 0.0, (decays, inputs))[1]


def log_space(floor):
    def recurrence(decays, inputs):
        logs = jnp.where(inputs > 0, jnp.log(jnp.where(inputs > 0, inputs, 1.0)), floor)
        sums = jnp.cumsum(jnp.log(decays))
        return jnp.exp(sums + jax.lax.cumlogsumexp(logs - sums))

    return recurrence


def gradient(recurrence, inputs):
    return jax.grad(lambda weight: recurrence(gates(weight), inputs).sum())(1.0)


print("jax", version("jax"), "jaxlib", version("jaxlib"))
checks = []
for inputs in (jnp.array([0.0, 1.0, 2.0, 0.5]), jnp.array([0.0, 0.0, 1.0, 2.0])):
    print("inputs", inputs)
    true = scan(gates(1.0), inputs), gradient(scan, inputs)
    print("  scan            ", *true)
    for name, floor in {"log 0 = -inf ": -jnp.inf, "log 0 = -1e30": -1e30}.items():
        found = log_space(floor)(gates(1.0), inputs), gradient(log_space(floor), inputs)
        print(f"  {name}   ", *found)
        checks.append(bool(jnp.allclose(found[0], true[0], atol=1e-6)))
        if inputs[1] == 0 and floor == -jnp.inf:
            checks.append(bool(jnp.isnan(found[1])))
        else:
            checks.append(bool(jnp.allclose(found[1], true[1], atol=1e-5)))
both = jax.grad(lambda x: jnp.logaddexp(x[0], x[1]))(jnp.full(2, -jnp.inf))
one = jax.grad(lambda x: jnp.logaddexp(x[0], x[1]))(jnp.array([-jnp.inf, 0.0]))
print("gradient of logaddexp at (-inf, -inf)", both, "at (-inf, 0)", one)
checks += [bool(jnp.isnan(both).all()), one.tolist() == [0.0, 1.0]]
print("as described" if all(checks) else "CHANGED")
sys.exit(not all(checks))
PYTHON

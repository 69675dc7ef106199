"""The same training on several releases of Python, JAX and the rest: `compare` asks one `worker` per release."""

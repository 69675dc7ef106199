"""The figures of the comparison as Markdown."""

from typing import Any

from benchmarks.releases.settings import DIGEST_STEPS, Setting

NOTE = (
    "Times are microseconds of one optimizer step of one run: the processor time of all cores, as the median over "
    "rounds in which the releases take turns. The ratio is the median of the rounds' ratios, with its range. "
    "A state is all arrays of all runs; equal means that its sha256 is that of the first release. The loss is the "
    "largest difference of a run's mean training loss over the last stretch of steps."
)


def release_name(release: dict[str, Any]) -> str:
    flags = f", `{release['xla_flags']}`" if release["xla_flags"] else ""
    return f"Python {release['python']}, jax {release['jax']}{flags}"


def row(title: str, release: dict[str, Any], figures: dict[str, Any]) -> list[str]:
    low, high = figures["time_ratio_range"]
    return [
        title,
        release_name(release),
        *("equal" if figures["equal"][str(step)] else "not equal" for step in DIGEST_STEPS),
        figures["digests"][str(DIGEST_STEPS[-1])][:12],
        f"{figures['largest_loss_difference']:.2g}",
        f"{figures['processor_microseconds']:,.1f}",
        f"{figures['time_ratio']:.2f} ({low:.2f} to {high:.2f})",
    ]


def markdown(found: dict[str, Any]) -> str:
    """The page of results/bench."""
    columns = ["network", "release"]
    columns += [f"state after {step}" for step in DIGEST_STEPS]
    columns += [f"sha256 after {DIGEST_STEPS[-1]}", "loss difference", "us / step / run", "time ratio"]
    rows = [
        row(Setting(**compared["setting"]).title, release, figures)
        for compared in found["settings"]
        for release, figures in zip(found["releases"], compared["releases"], strict=True)
    ]
    versions = "\n".join(f"- {release_name(release)}: {packages(release)}" for release in found["releases"])
    table = "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *rows])
    machine = (
        f"{found['cpu']}, {found['cores']} cores, load average {found['load_average']:.1f}, {found['rounds']} rounds."
    )
    return f"# Releases\n\n{machine}\n\n{versions}\n\n{table}\n\n{NOTE}\n"


def packages(release: dict[str, Any]) -> str:
    return ", ".join(f"{name} {which}" for name, which in release.items() if name not in ("python", "jax", "xla_flags"))

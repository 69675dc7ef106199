"""Time a layer that is linear in its state, step by step and by an associative scan; writes results/bench/."""

from benchmarks.parallel_scan.report import main

if __name__ == "__main__":
    main()

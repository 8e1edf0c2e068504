"""What ``bench_kernels`` times: the kernels, their twins, and what a user would take instead."""

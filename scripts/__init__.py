"""Programs of the project: the demo, the checks, the benchmarks, examples and tools."""

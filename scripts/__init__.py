"""The project's own programs: the demo, the checks, the benchmarks, examples and tools."""

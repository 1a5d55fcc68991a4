"""Networks on the CPU: exported from torch once, then loaded and run without it."""

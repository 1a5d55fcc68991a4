"""The OpenVINO runtime for the CPU: networks are exported from torch once and run without it."""

"""Clinical numbers: volumes and function, wall thickness, the cycle, reference values."""

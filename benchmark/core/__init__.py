"""Values that travel through the harness and small helpers; needs the standard library, NumPy and pydantic only."""

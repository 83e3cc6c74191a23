"""Orbits around one sun. Everything is compiled: importing this needs NumPy and weft's runtime, and no compiler."""

from orbit._compiled import anomalies, anomaly, drift, energies, radial_speed

__all__ = ["anomalies", "anomaly", "drift", "energies", "radial_speed"]

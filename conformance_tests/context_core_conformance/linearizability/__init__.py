"""The linearizability checker: histories of racing calls are recorded, and have an order or an anomaly."""

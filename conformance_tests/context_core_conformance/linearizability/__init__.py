"""The linearizability checker: it records histories of racing calls and finds an order or an anomaly."""

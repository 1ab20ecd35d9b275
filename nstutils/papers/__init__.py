"""The documents' experiments: their claims, runs, numbers and figures."""

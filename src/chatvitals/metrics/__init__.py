"""The metric catalogue, increments of metric cells, and the cap on label values."""

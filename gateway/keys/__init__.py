"""New keys for a gateway that runs."""

"""What operations cost: priced from their documents, before anything of them is read."""

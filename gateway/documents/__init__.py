"""Documents: from their text, and as they were published."""

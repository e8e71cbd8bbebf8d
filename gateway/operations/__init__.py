"""One operation, from what a client sent to what it is answered, on every transport."""

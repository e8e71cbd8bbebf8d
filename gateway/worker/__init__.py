"""What goes on without a request: jobs, the outbox, the clock."""

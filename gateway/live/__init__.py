"""What WebSockets and event streams have in common: how many, whose, how watched, how ended."""

"""What the shell's commands do."""

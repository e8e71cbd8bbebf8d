"""The running thing: the only package that knows all the others."""

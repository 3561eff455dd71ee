// Nothing to call: see check.c.

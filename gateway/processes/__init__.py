"""How processes begin, live beside each other and end."""

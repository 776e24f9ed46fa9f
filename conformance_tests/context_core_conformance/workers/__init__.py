"""What processes and threads do side by side while a law watches them."""

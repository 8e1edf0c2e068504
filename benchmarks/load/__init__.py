"""The load generator: thousands of paced calls on a gateway, and what became of them."""

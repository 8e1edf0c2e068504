"""The HTTP API: schemas, authentication, error envelope, routes."""

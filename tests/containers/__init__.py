"""What only an engine for containers can show: the image, compose, another PostgreSQL."""

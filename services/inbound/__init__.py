"""Inbound: what other systems post over Kafka, through the same door as over REST."""

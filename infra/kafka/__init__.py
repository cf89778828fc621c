"""Apache Kafka beside the ledger: PostgreSQL keeps the truth, Kafka hands it out."""

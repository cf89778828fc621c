"""Apache Kafka beside the ledger: PostgreSQL keeps the truth, Kafka hands it out."""

import logging

# The library logs keys and values in its messages; what we log of a failure is its kind.
logging.getLogger("kafka").setLevel(logging.CRITICAL)

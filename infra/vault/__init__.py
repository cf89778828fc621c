"""Protected values: sealed under a key per participant before the ledger sees them."""

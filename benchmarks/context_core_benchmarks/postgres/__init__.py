"""The verbs on PostgreSQL, beside a floor of their own."""

"""The verbs on PostgreSQL, compared with their own floor."""

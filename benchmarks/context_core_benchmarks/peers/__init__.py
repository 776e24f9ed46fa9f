"""The peers: other libraries that store the state of workflows, each with a small adapter."""

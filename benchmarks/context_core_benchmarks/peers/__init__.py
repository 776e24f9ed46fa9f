"""The peers: libraries that keep the state of workflows too, each behind one small adapter."""

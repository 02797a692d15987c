"""What a record on a server needs besides MLflow: a plain request, the time there, and a lock."""

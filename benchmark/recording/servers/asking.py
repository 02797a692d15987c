"""A plain request to a tracking server, without MLflow, which would try again for minutes."""

import os
from typing import TYPE_CHECKING

from promptarena.benchmark.recording.address import StoreAddress

if TYPE_CHECKING:
    import requests

ANSWER_SECONDS = 10.0


def ask_server(address: StoreAddress) -> "requests.Response":
    """Ask a tracking server for one experiment, with the certificates that MLflow's variables name.

    Args:
        address: The server's address.

    Returns:
        Its answer; without credentials it may be 401 or 403.

    Raises:
        OSError: Nothing answers.
    """
    import requests

    secure: bool | str = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        secure = False
    return requests.post(
        f"{address.shown.rstrip('/')}/api/2.0/mlflow/experiments/search",
        json={"max_results": 1},
        timeout=ANSWER_SECONDS,
        verify=secure,
        cert=os.environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
    )

"""Azure's form of chat completions: the same documents, with another header for the key and a version in the query."""

from collections.abc import Mapping

from muses_eval.workers.providers.openai import OpenAIAdapter


class AzureAdapter(OpenAIAdapter):
    """The adapter of a deployment in Azure.

    Args:
        api_version: date of the API, such as ``2024-10-21``.
    """

    def __init__(self, api_version: str) -> None:
        super().__init__()
        query = f"?api-version={api_version}"
        self.path, self.models_path = f"/chat/completions{query}", f"/models{query}"

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        common = super().headers(None)
        return common if api_key is None else {**common, "api-key": api_key}

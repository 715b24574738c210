"""vLLM: what its servers can do beyond the OpenAI format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

import aiohttp
import orjson

from archloom.graphs import ServedModel, VLLMModel
from archloom.nodes import Completion, Messages, OutputFormat, Sampling, TokenLogprob
from archloom.orchestrator.models.openai._chat import reply_begun
from archloom.orchestrator.models.openai._client import OpenAIClient
from archloom.orchestrator.models.openai._replies import Json, MalformedReplyError
from archloom.orchestrator.models.vllm._metrics import ServerMetrics, Watch

_METRICS_S = 10.0


class VLLMClient(OpenAIClient):
    """A vLLM server that runs already."""

    family: ClassVar[str] = "vllm"

    def __init__(self, spec: ServedModel, *, environ: Mapping[str, str], base_url: str | None = None) -> None:
        """As for any OpenAI-compatible server; see there."""
        address = base_url or (spec.base_url if isinstance(spec, VLLMModel) else None)
        super().__init__(spec, environ=environ, base_url=address)

    async def metrics(self) -> ServerMetrics:
        """One reading of the server's metrics.

        Raises:
            ModelCallError: it does not give them.
        """
        url = self._url.with_path("/metrics")
        timeout = aiohttp.ClientTimeout(total=_METRICS_S)
        try:
            # /metrics is read every few seconds at most: a session of its own costs nothing that counts.
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
                session.get(url) as response,
            ):
                if response.status != 200:
                    raise self._wire.failed("bad_request", f"HTTP {response.status} for /metrics")
                return ServerMetrics.read(await response.text())
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise self._wire.failed("connection", f"no metrics: {exc!r}") from None

    def watch(self, *, every_s: float = 5.0) -> Watch:
        """Looks at the metrics while it is open, and gives the peaks."""
        return Watch(self.metrics, every_s=every_s)

    def _body(self, messages: Messages, sampling: Sampling, seed: int) -> dict[str, object]:
        body = super()._body(messages, sampling, seed)
        if reply_begun(messages) is not None:
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        if sampling.prompt_logprobs:
            body |= {"prompt_logprobs": sampling.logprobs or 0, "return_prompt_text": True}
        return body

    def _output(self, output: OutputFormat) -> dict[str, object]:
        if output.kind == "json_schema":
            return super()._output(output)
        return {"structured_outputs": {output.kind: orjson.loads(output.value)}}

    def _pause(self, pause: tuple[str, ...]) -> dict[str, object]:
        return {"stop": pause, "include_stop_str_in_output": True}

    def _streamed(self, sampling: Sampling, *, watched: bool) -> bool:
        # A stream has no place for the prompt's log-probabilities.
        return not sampling.prompt_logprobs and super()._streamed(sampling, watched=watched)

    def _stream_options(self) -> dict[str, object]:
        return super()._stream_options() | {"continuous_usage_stats": True}

    def _read(self, reply: Json, choice: Json, completion: Completion) -> Completion:
        completion = super()._read(reply, choice, completion)
        if not (told := reply.get("prompt_logprobs")):
            return completion
        if not isinstance(told, list):
            raise MalformedReplyError("prompt_logprobs")
        text = reply.get("prompt_text")
        tokens = tuple(_prompt_tokens(told, text if isinstance(text, str) else ""))
        return replace(completion, prompt_tokens=tokens)


def _prompt_tokens(told: list[object], prompt: str) -> Iterator[TokenLogprob]:
    """The tokens of a prompt; nothing is told of the first, whose text is what the prompt has before the others."""
    others = [_prompt_token(entry) for entry in told[1:]]
    rest = "".join(token.text for token in others)
    yield TokenLogprob(prompt.removesuffix(rest) if prompt.endswith(rest) else "", 0.0)
    yield from others


def _prompt_token(entry: object) -> TokenLogprob:
    """One place of a prompt: the token that stands there comes first, then the likeliest ones."""
    if not isinstance(entry, dict) or not entry:
        raise MalformedReplyError("prompt_logprobs")
    [(text, logprob), *others] = map(_decoded, entry.values())
    ranked = sorted([(text, logprob), *others], key=lambda pair: -pair[1])
    return TokenLogprob(text, logprob, tuple(ranked) if others else ())


def _decoded(token: object) -> tuple[str, float]:
    text, logprob = (token.get("decoded_token"), token.get("logprob")) if isinstance(token, dict) else (None, None)
    if not isinstance(text, str) or not isinstance(logprob, float | int):
        raise MalformedReplyError("prompt_logprobs")
    return text, float(logprob)

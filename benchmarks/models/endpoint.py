"""A model server for benchmarks: a process of its own on the loopback interface that answers at almost no cost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

_PROGRAM = """
import asyncio, sys
latency_s, body = float(sys.argv[1]), sys.argv[2].encode()
reply = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body)
class Server(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.got = transport, b""
    def data_received(self, data):
        self.got += data
        while (end := self.got.find(b"\\r\\n\\r\\n")) >= 0:
            head = self.got[:end].lower()
            at = head.index(b"content-length:") + 15
            whole = end + 4 + int(head[at:].split(b"\\r\\n", 1)[0])
            if len(self.got) < whole: return
            self.got = self.got[whole:]
            if latency_s: asyncio.get_running_loop().call_later(latency_s, self.transport.write, reply)
            else: self.transport.write(reply)
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@asynccontextmanager
async def serving(text: str, *, tokens_in: int, tokens_out: int, latency_s: float = 0.0) -> AsyncIterator[str]:
    """Address of a server that gives every request this completion after this time."""
    body = {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
    }
    arguments = ("-c", _PROGRAM, str(latency_s), orjson.dumps(body).decode())
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/v1"
    finally:
        process.terminate()
        await process.wait()

"""Two processes that train one run, as torchrun starts them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def in_both(work: Callable[[int], Any]) -> list[Any]:
    """What `work` returns in two processes, as torchrun starts them, but forked: importing PyTorch takes seconds."""
    port = free_port()
    context = multiprocessing.get_context("fork")

    def run(rank: int, answer: Connection) -> None:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        answer.send(work(rank))

    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    processes = [context.Process(target=run, args=(rank, pipe[1])) for rank, pipe in enumerate(pipes)]
    for process in processes:
        process.start()
    try:
        answers = [pipe[0].recv() if pipe[0].poll(60) else None for pipe in pipes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()
            process.join()
    return answers

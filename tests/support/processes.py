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
    """What `work`, a function of a module, returns in two processes, as torchrun starts them.

    They are forked from a process that has imported PyTorch, which takes seconds, and has done nothing else: autograd
    refuses to work in what was forked after it has started its threads, as some test before may have.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch"])
    port = free_port()
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    processes = [context.Process(target=_run, args=(work, rank, port, pipe[1])) for rank, pipe in enumerate(pipes)]
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


def _run(work: Callable[[int], Any], rank: int, port: int, answer: Connection) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    answer.send(work(rank))

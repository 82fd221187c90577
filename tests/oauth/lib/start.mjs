// How the fixtures of this folder start, and end.

import http from 'node:http';

/** Listens on loopback, on a port of the system's choice, and gives the origin. `host` is how the origin is spelt. */
export async function listen(handle, host = '127.0.0.1') {
  const server = http.createServer(async (request, response) => {
    // A peer that hangs up in the middle is an ordinary event.
    request.on('error', () => {});
    response.on('error', () => {});
    try {
      await handle(request, response);
    } catch (error) {
      process.stderr.write(`oauth fixture: ${error.stack}\n`);
      if (!response.headersSent) response.writeHead(500);
      response.end();
    }
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return `http://${host}:${server.address().port}`;
}

/** Says where things are, in one line of JSON. The starter holds our standard input: when it is gone, so are we. */
export function ready(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0));
}

/** Ends with a message: the fixture was started in a way that makes no sense. */
export function usage(text) {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

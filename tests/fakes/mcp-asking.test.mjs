// The server that asks back is judged itself: what it takes, and what it refuses.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('mcp-asking.mjs', import.meta.url));
const OFFERS = { elicitation: {}, sampling: {}, roots: {} };

/** Call a tool and answer what it asks; the text of its result. */
async function called(era, name, answer) {
  const child = spawn(process.execPath, [PROGRAM, era], { stdio: ['pipe', 'pipe', 'inherit'] });
  const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const meta = { 'io.modelcontextprotocol/clientCapabilities': OFFERS, progressToken: 1 };
  try {
    if (era === 'legacy') send({ id: 0, method: 'initialize', params: { capabilities: OFFERS } });
    send({ id: 1, method: 'tools/call', params: { name, _meta: meta } });
    for await (const line of createInterface({ input: child.stdout })) {
      const message = JSON.parse(line);
      if (message.method && message.id) send({ id: message.id, ...answer });
      if (message.id !== 1) continue;
      if (message.result.resultType !== 'input_required') return message.result;
      send({ id: 1, method: 'tools/call', params: { name, _meta: meta, inputResponses: { it: answer.result }, requestState: message.result.requestState } });
    }
  } finally {
    child.kill();
  }
}

const GOOD = { action: 'accept', content: { name: 'Jo', nodes: 2, zone: 'eu-1', tags: ['db'], urgent: true } };

for (const era of ['legacy', 'modern']) {
  test(`what was asked for is taken, and nothing else (${era})`, async () => {
    assert.equal((await called(era, 'survey', { result: GOOD })).isError, false);
    assert.equal((await called(era, 'survey', { result: { action: 'decline' } })).isError, false);
    for (const result of [{}, { action: 'accept' }, { action: 'accept', content: { ...GOOD.content, nodes: '2' } }, { action: 'accept', content: { ...GOOD.content, more: 1 } }]) {
      assert.equal((await called(era, 'survey', { result })).isError, true, JSON.stringify(result));
    }
    assert.equal((await called(era, 'think', { result: { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm' } })).isError, false);
    assert.equal((await called(era, 'think', { result: { text: 'x' } })).isError, true);
    assert.equal((await called(era, 'where', { result: { roots: [] } })).isError, false);
  });
}

test('a refusal is told, and progress and long answers come', async () => {
  assert.match((await called('legacy', 'think', { error: { code: -1, message: 'no' } })).content[0].text, /refused: no/);
  assert.equal((await called('legacy', 'slowly', {})).isError, false);
  assert.ok((await called('legacy', 'long', {})).content[0].text.length > 150 << 10);
});

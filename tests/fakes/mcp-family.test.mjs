// The server with a family, judged: it answers, each mode ends as it is called, and its grandchildren do outlive it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const script = new URL('./mcp-family.mjs', import.meta.url).pathname;
const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: { text: 'hi' } } };

/** Processes with `mark` in their command line, and not this one's. */
function marked(mark) {
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark);
    } catch {
      return false;
    }
  });
}

const until = async (holds, what) => {
  for (let waited = 0; !holds(); waited += 20) {
    assert.ok(waited < 10_000, what);
    await new Promise((done) => setTimeout(done, 20));
  }
};

test('each mode ends as it is called, and leaves its family behind', async () => {
  for (const [mode, ends] of [['ok', [0, null]], ['crash', [7, null]], ['abort', [null, 'SIGKILL']], ['early', [7, null]]]) {
    const mark = `family-test-${process.pid}-${mode}`;
    const child = spawn(process.execPath, [script, mode, mark], { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
    try {
      child.stdin.on('error', () => {});
      child.stdin.write(`${JSON.stringify(call)}\n`);
      const exit = once(child, 'exit');
      if (mode === 'ok') {
        const [said] = await once(child.stdout, 'data');
        assert.match(String(said), /"text":"hi"/);
        child.stdin.end();
      }
      assert.deepEqual(await exit, ends, mode);
      await until(() => marked(mark).length === 3, `${mode}: three are left behind`);
    } finally {
      process.kill(-child.pid, 'SIGKILL');
    }
    await until(() => marked(mark).length === 0, `${mode}: they are of its group`);
  }
});

test('a stubborn one stays', async () => {
  const child = spawn(process.execPath, [script, 'stubborn', `family-test-${process.pid}-stubborn`], { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  try {
    child.stdin.write(`${JSON.stringify(call)}\n`);
    await once(child.stdout, 'data');
    child.stdin.end();
    child.kill('SIGTERM');
    await new Promise((done) => setTimeout(done, 300));
    assert.equal(child.exitCode ?? child.signalCode, null);
  } finally {
    process.kill(-child.pid, 'SIGKILL');
  }
});

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import {
  exitProblem,
  hasEnded,
  isolationProblem,
  keepsOrder,
  loopTimes,
  mayBlock,
  onExit,
  signOfLife,
  threadId,
  untilEnded,
} from '../../src/platform/node.ts';

const built = new URL('../../dist/src/platform/node.js', import.meta.url);

function messageFrom(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

test('the main thread is thread 0, may block and may share', () => {
  expect(threadId()).toBe(0);
  expect(mayBlock()).toBe(true);
  expect(isolationProblem()).toBeUndefined();
});

test('a worker has the id that its parent knows', async () => {
  const code = `
    import { parentPort } from 'node:worker_threads';
    import { threadId } from ${JSON.stringify(built.href)};
    parentPort.postMessage(threadId());`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const id = worker.threadId;
  expect(await messageFrom(worker)).toBe(id);
  await worker.terminate();
});

test.runIf(process.platform === 'linux')('the kernel tells which threads live', async () => {
  expect(signOfLife()).toBeGreaterThan(0);
  expect(hasEnded(await signOfLife())).toBe(false);
  const code = `
    import { parentPort } from 'node:worker_threads';
    import { signOfLife } from ${JSON.stringify(built.href)};
    parentPort.postMessage(signOfLife());
    setInterval(() => {}, 1000);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const number = (await messageFrom(worker)) as number;
  expect(number).not.toBe(signOfLife());
  expect(hasEnded(number)).toBe(false);
  let isOver = false;
  const over = untilEnded(number).then((isProven) => {
    isOver = true;
    return isProven;
  });
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(isOver).toBe(false);
  void worker.terminate();
  expect(await over).toBe(true);
  expect(hasEnded(number)).toBe(true);
});

test('of a thread without a number nothing is known', async () => {
  expect(hasEnded(0)).toBe(false);
  expect(await untilEnded(0)).toBe(false);
});

test("a worker's 'exit' is a proof, but for Deno's; Node alone tells of a worker's event loop", async () => {
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
  await new Promise((resolve) => worker.once('online', resolve));
  const { bun, deno } = process.versions;
  if (deno === undefined) expect(exitProblem()).toBeUndefined();
  else expect(exitProblem()).toContain('--allow-all');
  if (bun === undefined && deno === undefined) expect(loopTimes(worker)?.active).toBeGreaterThanOrEqual(0);
  else expect(loopTimes(worker)).toBeUndefined();
  await worker.terminate();
});

test('many exit callbacks share one listener, which goes with the last of them', () => {
  const before = process.listenerCount('exit');
  const removers = Array.from({ length: 50 }, () => onExit(() => {}));
  expect(process.listenerCount('exit')).toBe(before + 1);
  for (const remove of removers) remove();
  expect(process.listenerCount('exit')).toBe(before);
});

test('a callback registered twice is removed once', () => {
  const before = process.listenerCount('exit');
  const callback = () => {};
  const removeFirst = onExit(callback);
  const removeSecond = onExit(callback);
  removeFirst();
  removeFirst();
  expect(process.listenerCount('exit')).toBe(before + 1);
  removeSecond();
  expect(process.listenerCount('exit')).toBe(before);
});

test('the callbacks run at the exit, in order, without the removed ones', () => {
  const code = `
    import { onExit } from ${JSON.stringify(built.href)};
    onExit(() => console.log('first'));
    onExit(() => console.log('removed'))();
    onExit(() => console.log('last'));
    console.log('running');
    process.exit();`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: fileURLToPath(new URL('.', built)),
    encoding: 'utf8',
  });
  expect(output).toBe('running\nfirst\nlast\n');
});

test('the callbacks run when a worker ends by itself', async () => {
  const code = `
    import { parentPort } from 'node:worker_threads';
    import { onExit } from ${JSON.stringify(built.href)};
    onExit(() => parentPort.postMessage('goodbye'));`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  expect(await messageFrom(worker)).toBe('goodbye');
});

test('an x64 processor reads in order, others are not trusted to', () => {
  expect(keepsOrder()).toBe(process.arch === 'x64' || process.arch === 'ia32');
});

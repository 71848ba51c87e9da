/**
 * What the suites import of Node, in a page: what a page has too, and the rest as something that refuses. A
 * test that needs more than is here is on the list of left-out.ts.
 */

export { inspect } from 'node-inspect-extracted';

export const MessageChannel = globalThis.MessageChannel;

function absent(): never {
  throw new Error('a page has nothing of Node: put this test on the list of left-out.ts');
}

export {
  absent as crc32,
  absent as execFile,
  absent as execFileSync,
  absent as promisify,
  absent as serialize,
  absent as Worker,
};

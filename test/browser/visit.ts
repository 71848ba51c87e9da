/** For the tests in a page, on the side of Node: opens another page, that of plain-page.ts, without any header. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { BrowserCommand } from 'vitest/node';
import type { Attempt } from './plain-page.ts';

declare module 'vitest/browser' {
  interface BrowserCommands {
    visitPlainPage(): Promise<readonly Attempt[]>;
  }
}

const ENTRY = fileURLToPath(new URL('plain-page.ts', import.meta.url));
const BUILT = fileURLToPath(new URL('../../dist/src/index.js', import.meta.url));

/** What is used of a page, Playwright's or Puppeteer's. */
interface Page {
  goto(url: string): Promise<unknown>;
  waitForFunction(source: string): Promise<{ jsonValue(): Promise<unknown> }>;
  close(): Promise<void>;
}

/** What opens pages. A provider lends it: ours itself, Playwright's as its context. */
interface Opener {
  newPage(): Promise<Page>;
}
type Lent = Opener | { readonly context: Opener };

/** What the page has found. */
export const visitPlainPage: BrowserCommand<[], readonly Attempt[]> = async (command) => {
  const lent = command as unknown as Lent;
  const program = await bundle();
  const server = createServer(({ url }, response) => {
    const isProgram = url === '/page.js';
    response.setHeader('content-type', isProgram ? 'text/javascript' : 'text/html');
    response.end(isProgram ? program : '<!doctype html><script type="module" src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const page = await ('newPage' in lent ? lent : lent.context).newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const outcome = await page.waitForFunction('globalThis.outcome');
    const attempts = (await outcome.jsonValue()) as readonly Attempt[];
    await page.close();
    return attempts;
  } finally {
    server.closeAllConnections();
    server.close();
  }
};

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [ENTRY],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    plugins: [
      {
        name: 'built',
        setup: ({ onResolve }) =>
          onResolve({ filter: /^\.\.\/\.\.\/src\/index\.ts$/ }, () => ({ path: BUILT })),
      },
    ],
  });
  return outputFiles[0]!.text;
}

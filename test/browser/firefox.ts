/**
 * Firefox for Vitest, as the system installs it, over WebDriver BiDi. Playwright, which drives the Chromium of the
 * system, knows no Firefox but a build of its own.
 */

import { defineBrowserProvider } from '@vitest/browser';
import { type Browser, launch, type Page } from 'puppeteer-core';
import type { BrowserProvider } from 'vitest/node';

/** One page for each session of the suites, all in one browser. */
class Pages implements BrowserProvider {
  readonly name = 'firefox';
  /** All pages are in one window, which draws one of them. */
  readonly supportsParallelism = false;
  readonly #browser: Promise<Browser>;
  readonly #pages = new Map<string, Page>();

  constructor(executablePath: string) {
    this.#browser = launch({ browser: 'firefox', executablePath, headless: true });
  }

  getCommandsContext(): { newPage(): Promise<Page> } {
    return { newPage: async () => (await this.#browser).newPage() };
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    await this.#pages.get(sessionId)?.close();
    const page = await (await this.#browser).newPage();
    this.#pages.set(sessionId, page);
    await page.goto(url, { timeout: 0 });
  }

  async close(): Promise<void> {
    await (await this.#browser).close();
  }
}

/** What `provider` of a browser instance takes. */
export const firefox = (executablePath: string) =>
  defineBrowserProvider({ name: 'firefox', providerFactory: () => new Pages(executablePath) });

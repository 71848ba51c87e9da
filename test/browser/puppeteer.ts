/**
 * The browsers that the suites run in: stock ones as the system installs them, driven by Puppeteer, Chromium
 * over its DevTools protocol and Firefox over WebDriver BiDi. Vitest's own providers bring browsers of their own.
 */

import { existsSync } from 'node:fs';
import { defineBrowserProvider } from '@vitest/browser';
import { type Browser, type LaunchOptions, launch, type Page } from 'puppeteer-core';
import type { BrowserProvider, TestProject } from 'vitest/node';

export type BrowserName = 'chromium' | 'firefox';

/** Where each is looked for, behind the variable that names it. */
const PATHS: Record<BrowserName, readonly (string | undefined)[]> = {
  chromium: [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'],
  firefox: [process.env.FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox'],
};

const OPTIONS: Record<BrowserName, LaunchOptions> = {
  // Root, as in a container, gets no sandbox.
  chromium: { browser: 'chrome', args: ['--no-sandbox'] },
  firefox: { browser: 'firefox' },
};

/** The path of an installed browser. */
export function pathOf(name: BrowserName): string | undefined {
  return PATHS[name].find((path) => path !== undefined && existsSync(path));
}

/** One page for each session of the suites, all in one browser. */
class Pages implements BrowserProvider {
  readonly name = 'puppeteer';
  /** Firefox has all pages in one window, and draws one. */
  readonly supportsParallelism: boolean;
  readonly #browser: Promise<Browser>;
  readonly #pages = new Map<string, Page>();

  constructor(name: BrowserName) {
    this.supportsParallelism = name === 'chromium';
    const executablePath = pathOf(name);
    if (executablePath === undefined) throw new Error(`no ${name} is installed`);
    this.#browser = launch({ executablePath, headless: true, ...OPTIONS[name] });
  }

  getCommandsContext(): { browser: Promise<Browser> } {
    return { browser: this.#browser };
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    const browser = await this.#browser;
    await this.#pages.get(sessionId)?.close();
    // A window of its own: a tab in the background of another one draws no frames, which Vitest waits for.
    const page = await (await browser.createBrowserContext()).newPage();
    this.#pages.set(sessionId, page);
    await page.goto(url, { timeout: 0 });
  }

  async close(): Promise<void> {
    await (await this.#browser).close();
  }
}

/** What `test.browser.provider` of Vitest takes. */
export const puppeteer = defineBrowserProvider({
  name: 'puppeteer',
  providerFactory: (project: TestProject) => new Pages(project.config.browser.name as BrowserName),
});

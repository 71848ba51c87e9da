/**
 * The page in examples/browser, built and served as its users have it, in headless Chromium: workers are killed
 * by keyboard, and the flock flies on. Leaves pictures in `artefacts/`.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright';
import { build, type PreviewServer, preview } from 'vite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { randomFrom, SEED } from '../random.ts';
import { launchChromium } from './chromium.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CONFIG = join(ROOT, 'examples/browser/vite.config.ts');
/** Ignored by git. */
const ARTEFACTS = join(ROOT, 'artefacts');
const PLAIN = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const DESKTOP = { width: 1360, height: 900 };
/** What the workers of a flock own: a list for each boid. */
const LISTS = 800;

const NOT_ISOLATED = {
  'Cross-Origin-Opener-Policy': 'unsafe-none',
  'Cross-Origin-Embedder-Policy': 'unsafe-none',
};

const outDir = mkdtempSync(join(tmpdir(), 'sabheap-flock-'));
let server: PreviewServer;
let browser: Browser;
beforeAll(async () => {
  const settings = { configFile: CONFIG, logLevel: 'error' as const, build: { outDir } };
  await build(settings);
  server = await preview({ ...settings, preview: { port: 0 } });
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
  rmSync(outDir, { recursive: true, force: true });
});

const failures: string[] = [];
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  expect(failures.splice(0)).toEqual([]);
});

/** Opens the page and waits until the flock is in the air. */
async function open(options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: DESKTOP, colorScheme: 'dark', ...options });
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  page.on('pageerror', (error) => failures.push(`${error}`));
  await page.goto(server.resolvedUrls!.local[0]!);
  await page.waitForFunction(() => document.querySelectorAll('tr[data-phase="at work"]').length === 4);
  return page;
}

/** A counter of the page. */
async function read(page: Page, name: string): Promise<number> {
  return Number((await page.innerText(`dl [data-value="${name}"]`)).replaceAll(/[, KiB]/g, ''));
}

async function untilStep(page: Page, wanted: number): Promise<void> {
  await expect.poll(() => read(page, 'step'), { timeout: 120_000 }).toBeGreaterThan(wanted);
}

/** Waits until the page has told `times` recoveries, each with a sound heap. Returns the log. */
async function untilRecovered(page: Page, times = 1): Promise<string[]> {
  const log = () => page.locator('#log li').allInnerTexts();
  const sound = async () =>
    (await log()).filter((line) => line.includes('heap.verify() found nothing')).length;
  await expect.poll(sound, { timeout: 120_000 }).toBe(times);
  return log();
}

/** The workers' rows. */
async function rows(
  page: Page,
): Promise<{ phase: string; state: string; generation: number; blocks: number }[]> {
  const cells = await page.locator('tbody tr').evaluateAll((all) =>
    all.map((row) => {
      const text = (name: string) => row.querySelector(`[data-value="${name}"]`)!.textContent!;
      const phase = (row as HTMLElement).dataset.phase!;
      return { phase, state: text('state'), slot: text('slot'), blocks: Number(text('blocks')) };
    }),
  );
  return cells.map(({ slot, ...row }) => ({ ...row, generation: Number(slot.split('·')[1]) }));
}

async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(ARTEFACTS, `flock-${name}.png`) });
}

test('npm run example:browser serves it', async () => {
  const { address, stop } = await runExample();
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => failures.push(`${error}`));
    await page.goto(address);
    await untilStep(page, 10);
    expect(new URL(address).hostname).toBe('127.0.0.1');
  } finally {
    await stop();
  }
});

/** Starts the command that users start, and waits until it says where the page is. */
async function runExample(): Promise<{ address: string; stop(): Promise<void> }> {
  const example = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts['example:browser'];
  const [name, ...args] = example.split(' ');
  const child = spawn(join(ROOT, 'node_modules/.bin', name), args, { cwd: ROOT, env: PLAIN });
  const ended = once(child, 'exit');
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  const stop = async () => {
    child.kill();
    await ended;
  };
  try {
    await expect.poll(() => said, { timeout: 120_000 }).toMatch(/http:\S+/);
    return { address: /http:\S+/.exec(said)![0], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

describe('a worker is killed', () => {
  test('by Tab and Enter: its share stands still, is reaped, and flies on', async () => {
    const page = await open();
    await untilStep(page, 60);
    await page.keyboard.press('Tab'); // the sky
    await page.keyboard.press('Tab');
    const button = page.locator(':focus-visible');
    expect(await button.getAttribute('id')).toBe('kill');
    expect(await button.evaluate((element) => getComputedStyle(element).outlineWidth)).toBe('3px');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.innerText('#status')).toMatch(/^Worker \d is killed/);
    const before = await read(page, 'step');
    await expect.poll(async () => (await rows(page)).map(({ phase }) => phase)).toContain('ended');
    await picture(page, 'killed');

    const log = await untilRecovered(page);
    expect(await page.innerText('#status')).toMatch(
      /^Worker \d is dead, reaped and replaced\. 800 of its blocks/,
    );
    expect(log.find((line) => line.includes('reaped;'))).toMatch(
      new RegExp(`is dead: slot \\d reaped; ${LISTS} blocks of its own \\(\\d\\d\\.\\d KiB\\) freed`),
    );
    await untilStep(page, before + 100);
    // Shown some times a second; and a boid that looks around has no list for a moment.
    const crew = async () => (await rows(page)).map(({ phase, state, blocks }) => [phase, state, blocks]);
    await expect.poll(crew).toEqual(Array(4).fill(['at work', 'at work', LISTS]));
    expect((await rows(page)).map(({ generation }) => generation).sort()).toEqual([1, 1, 1, 2]);
    // Two arrays, the shares, the clock and the mutex.
    await expect.poll(() => read(page, 'live')).toBe(4 * LISTS + 5);
  });

  test('with the lock in its hands, by its shortcut: the next one takes it over', async () => {
    const page = await open({ colorScheme: 'light' });
    await untilStep(page, 60);
    await page.keyboard.press('l');
    await expect.poll(() => page.innerText('#status')).toMatch(/^Worker \d is killed, with the flock’s lock/);
    const halted = await read(page, 'step');
    await untilRecovered(page);
    expect(await page.innerText('#status')).toContain('Its lock was taken over');
    await expect.poll(() => read(page, 'takeovers')).toBe(1);
    await untilStep(page, halted + 60);
    await picture(page, 'recovered');
  });

  test('again and again, at random moments', async () => {
    console.log(`killed at moments of SEED=${SEED}`);
    const random = randomFrom(SEED);
    const page = await open();
    for (let times = 1; times <= 5; times++) {
      await page.waitForTimeout(random() * 400);
      await page.keyboard.press('k');
      await untilRecovered(page, times);
    }
    const generations = async () => (await rows(page)).reduce((sum, { generation }) => sum + generation, 0);
    await expect.poll(generations).toBe(4 + 5);
    expect(await read(page, 'failures')).toBe(0);
  });

  test('while the flock is paused', async () => {
    const page = await open();
    await page.keyboard.press('p');
    let step = -1;
    // Until half a second has brought no more.
    const standsStill = async () => {
      const before = step;
      step = await read(page, 'step');
      return step === before;
    };
    await expect.poll(standsStill, { interval: 500 }).toBe(true);
    await page.keyboard.press('k');
    await untilRecovered(page);
    expect(await read(page, 'step')).toBe(step);
    await page.keyboard.press('p');
    await untilStep(page, step + 10);
  });
});

describe('the page', () => {
  test('does not move while it tells of a death', async () => {
    const page = await open();
    await page.evaluate(() => {
      const shifts: string[] = [];
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const { value, sources } of list.getEntries() as (PerformanceEntry & Shift)[]) {
          shifts.push(`${value}: ${sources.map(({ node }) => (node as HTMLElement)?.outerHTML).join(', ')}`);
        }
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.keyboard.press('k');
    await untilRecovered(page);
    expect(await page.evaluate('shifts')).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('has no faults that axe finds, in %s', async (colorScheme) => {
    const page = await open({ colorScheme });
    await page.evaluate(AXE);
    const { violations } = (await page.evaluate('axe.run()')) as { violations: Violation[] };
    expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
  });

  test.each([320, 390, 768, 1024])('fits a window of %d pixels', async (width) => {
    const page = await open({ viewport: { width, height: 800 } });
    const { scrollWidth, clientWidth } = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return { scrollWidth, clientWidth };
    });
    expect(scrollWidth).toBe(clientWidth);
    if (width !== 768) await page.screenshot({ path: join(ARTEFACTS, `flock-${width}.png`), fullPage: true });
  });

  test('stands still at first for who wants less motion', async () => {
    const page = await open({ reducedMotion: 'reduce' });
    await page.waitForTimeout(1000);
    expect(await read(page, 'step')).toBeLessThan(2);
    expect(await page.innerText('#pause-label')).toBe('Fly on');
    await page.keyboard.press('p');
    await untilStep(page, 10);
  });

  test('a hawk flies by the arrow keys until Escape', async () => {
    const page = await open();
    await page.focus('#sky');
    // The left end of its ring, when it has flown 30 to the left of the middle, in the sky's 1600 by 800.
    const isThere = () =>
      page.locator('#sky').evaluate((canvas: HTMLCanvasElement) => {
        const scale = canvas.width / 1600;
        const pixel = canvas.getContext('2d')!.getImageData(756 * scale, 400 * scale, 1, 1).data;
        return pixel[0]! > 180 && pixel[1]! < 170;
      });
    expect(await isThere()).toBe(false);
    await page.keyboard.press('ArrowLeft');
    await expect.poll(isThere).toBe(true);
    await page.keyboard.press('Escape');
    await expect.poll(isThere).toBe(false);
  });

  test('that is not isolated says which headers are missing', async () => {
    const bare = await preview({
      ...{ configFile: CONFIG, logLevel: 'error', build: { outDir } },
      preview: { port: 0, headers: NOT_ISOLATED },
    });
    try {
      const page = await browser.newPage();
      await page.goto(bare.resolvedUrls!.local[0]!);
      const said = await page.innerText('#status');
      expect(said).toContain('Cross-Origin-Opener-Policy');
      expect(said).toContain('Cross-Origin-Embedder-Policy');
    } finally {
      await bare.close();
    }
  });
});

interface Shift {
  readonly value: number;
  readonly sources: readonly { readonly node: Node | null }[];
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

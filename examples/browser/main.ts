/**
 * The page: makes the heap, starts the crew, and on each frame orders the next step and draws the last one.
 *
 * It never blocks: it polls shared words, takes locks only for microseconds, and where it cannot have one it
 * shows what it had before.
 */

import { BlockingNotAllowedError, type ReapReport } from 'sabheap';
import { Crew, type Recovery } from './crew.ts';
import { byId, count, HeapPanel, kib } from './heap-panel.ts';
import { createScene, openScene, type Scene, WORKERS } from './scene.ts';
import { Sky } from './sky.ts';

/** How often the heap's picture is drawn, in ms. */
const PICTURE_EVERY = 250;

const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;

class Page {
  readonly #scene: Scene;
  readonly #crew: Crew;
  readonly #sky: Sky;
  readonly #panel: HeapPanel;
  readonly #began = performance.now();
  /** Who does not want to see things move starts them. */
  #paused = calm;
  #drawnAt = 0;

  constructor() {
    const { heap, orders } = createScene();
    this.#scene = openScene(orders(0));
    this.#crew = new Crew(this.#scene, orders, {
      onReaped: (index, report) => this.#tellReaped(index, report),
      onRecovered: (recovery) => this.#tellRecovered(recovery),
      onFailed: (error) => tell(`${error}`, 'failure'),
    });
    const isDead = (index: number): boolean => this.#crew.phaseOf(index) === 'ended';
    this.#sky = new Sky(byId<HTMLCanvasElement>('sky'), this.#scene, isDead, !calm);
    this.#sky.letHawkFly();
    this.#panel = new HeapPanel(this.#scene, this.#crew);
    this.#listen();
    this.#showPause();
    this.#log(`heap ${heap.id}: ${kib(heap.memory.byteLength)}, ${WORKERS} workers attach to it`);
    requestAnimationFrame(() => this.#frame());
  }

  #frame(): void {
    requestAnimationFrame(() => this.#frame());
    const { clock } = this.#scene;
    const step = clock.step.load();
    // A hostage stops in a step: it gets one, paused or not.
    const isWanted = !this.#paused || clock.hostage.load() > 0;
    if (this.#crew.look(step) && isWanted) {
      clock.step.add(1);
      clock.step.notify();
    }
    if (isWanted) this.#sky.draw();
    const now = performance.now();
    if (now - this.#drawnAt < PICTURE_EVERY) return;
    this.#drawnAt = now;
    this.#panel.show(step);
    for (const id of ['kill', 'kill-holder']) {
      byId(id).setAttribute('aria-disabled', String(!this.#crew.isComplete));
    }
  }

  #listen(): void {
    const actions: Record<string, () => void> = {
      kill: () => this.#kill('now'),
      'kill-holder': () => this.#kill('with the lock'),
      pause: () => {
        this.#paused = !this.#paused;
        this.#showPause();
      },
    };
    for (const [id, action] of Object.entries(actions)) byId(id).addEventListener('click', action);
    addEventListener('keydown', ({ key, ctrlKey, metaKey, altKey, repeat }) => {
      if (ctrlKey || metaKey || altKey || repeat) return;
      document.querySelector<HTMLElement>(`[aria-keyshortcuts="${key.toLowerCase()}"]`)?.click();
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#sky.readColours();
      this.#panel.readColours();
    });
  }

  #showPause(): void {
    byId('pause-label').textContent = this.#paused ? 'Fly on' : 'Pause';
  }

  #kill(when: 'now' | 'with the lock'): void {
    if (!this.#crew.isComplete) return;
    const index = Math.floor(Math.random() * WORKERS);
    this.#crew.kill(index, when);
    const where = when === 'now' ? 'wherever it is' : 'with the flock’s lock in its hands';
    this.#tell(
      `Worker ${index + 1} is killed, ${where}. Until its death is proven nothing of it is touched.`,
    );
  }

  #tellReaped(index: number, { slot, returnedBlocks, returnedBytes, owned, ownedBytes }: ReapReport): void {
    this.#log(
      `worker ${index + 1} is dead: slot ${slot} reaped; ${count(owned.length)} blocks of its own ` +
        `(${kib(ownedBytes)}) freed, ${count(returnedBlocks)} cached ones (${kib(returnedBytes)}) returned`,
    );
  }

  #tellRecovered(recovery: Recovery): void {
    const { index, heldLock, report, untilReaped, untilMoved } = recovery;
    const { heap, shares, clock } = this.#scene;
    try {
      heap.verify();
    } catch (error) {
      if (!(error instanceof BlockingNotAllowedError)) throw error;
      // A worker is in the allocator, and the system has put it to sleep there.
      setTimeout(() => this.#tellRecovered(recovery));
      return;
    }
    const lock = heldLock ? 'Its lock was taken over, and what it guards begun anew. ' : '';
    this.#tell(
      `Worker ${index + 1} is dead, reaped and replaced. ${lock}${count(report.owned.length)} of its blocks were freed. ` +
        `The heap is sound; the flock flies on.`,
    );
    this.#log(
      `a new worker ${index + 1} is in slot ${shares[index]!.slot}: step ${count(clock.step.load())} was done ` +
        `${seconds(untilMoved)} after the kill, ${seconds(untilMoved - untilReaped)} after the proof; ` +
        'heap.verify() found nothing',
    );
  }

  /** For everybody, screen readers too. */
  #tell(message: string): void {
    tell(message);
    this.#log(message);
  }

  #log(message: string): void {
    const line = document.createElement('li');
    const time = document.createElement('span');
    time.textContent = seconds(performance.now() - this.#began);
    line.append(time, message);
    const log = byId('log');
    log.append(line);
    log.scrollTop = log.scrollHeight;
  }
}

function tell(message: string, className = ''): void {
  const status = byId('status');
  status.className = className;
  status.textContent = message;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

try {
  new Page();
} catch (error) {
  // Most likely the page is not isolated: the error names the headers that are missing.
  tell(error instanceof Error ? error.message : String(error), 'failure');
  throw error;
}

/**
 * The heap's live picture: its bytes by state, its threads, its counters. All of it is read from the heap,
 * some times a second.
 */

import { BlockingNotAllowedError, type BlockState, KiB } from 'sabheap';
import type { Crew, Phase } from './crew.ts';
import { beginAnew, HEAP_BYTES, type Scene, WORKERS } from './scene.ts';

/** Bytes for each cell of the map. */
const CELL_BYTES = 64;
const COLUMNS = 160;

/** How the states that are not shown in a worker's colour are named in the style sheet. */
const STATE_COLOURS: Partial<Record<BlockState, string>> = {
  free: '--free',
  transfer: '--transfer',
  shared: '--shared',
  orphan: '--orphan',
};

const PHASES: Record<Phase, string> = {
  starting: 'starting',
  'at work': 'at work',
  stopping: 'taking the lock',
  ended: 'told to end',
};

/** The parts of the page beside the flock. */
export class HeapPanel {
  readonly #scene: Scene;
  readonly #crew: Crew;
  readonly #map: CanvasRenderingContext2D;
  readonly #image: ImageData;
  readonly #pixels: Uint32Array;
  readonly #rows: readonly HTMLElement[];
  readonly #palette = new Map<string, number>();
  #lastSteps = 0;
  #lastTime = 0;

  constructor(scene: Scene, crew: Crew) {
    this.#scene = scene;
    this.#crew = crew;
    const canvas = byId<HTMLCanvasElement>('map');
    canvas.width = COLUMNS;
    canvas.height = Math.ceil(HEAP_BYTES / CELL_BYTES / COLUMNS);
    this.#map = canvas.getContext('2d')!;
    this.#image = this.#map.createImageData(canvas.width, canvas.height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    this.#rows = Array.from({ length: WORKERS }, (_, index) => byId(`worker-${index + 1}`));
    this.readColours();
  }

  /** The page's colours: they change between light and dark. */
  readColours(): void {
    const style = getComputedStyle(this.#map.canvas);
    const names = ['--free', '--own', '--transfer', '--shared', '--orphan', '--page', '--page-cached'];
    for (let index = 1; index <= WORKERS; index++)
      names.push(`--worker-${index}`, `--worker-${index}-cached`);
    for (const name of names) this.#palette.set(name, pixelOf(style.getPropertyValue(name)));
  }

  /** Reads the heap and shows it. */
  show(step: number): void {
    try {
      this.#showMap();
      this.#showThreads();
      this.#showCounters(step);
    } catch (error) {
      // A thread that died with the allocator's lock: the page may not wait for it. It looks again soon.
      if (!(error instanceof BlockingNotAllowedError)) throw error;
    }
  }

  #showMap(): void {
    const { heap, shares } = this.#scene;
    const owners = new Map(shares.map(({ slot }, index) => [slot, `--worker-${index + 1}`]));
    const pixels = this.#pixels;
    pixels.fill(this.#palette.get('--own')!);
    for (const { address, size, state, owner } of heap.blocks()) {
      const holder = owners.get(owner) ?? '--page';
      const name = STATE_COLOURS[state] ?? (state === 'hand' ? `${holder}-cached` : holder);
      pixels.fill(
        this.#palette.get(name)!,
        Math.floor(address / CELL_BYTES),
        Math.ceil((address + size) / CELL_BYTES),
      );
    }
    this.#map.putImageData(this.#image, 0, 0);
  }

  #showThreads(): void {
    const { heap, shares } = this.#scene;
    const threads = new Map(heap.threads().map((info) => [info.slot, info]));
    for (const [index, row] of this.#rows.entries()) {
      const share = shares[index]!;
      const info = threads.get(share.slot);
      const phase = this.#crew.phaseOf(index);
      row.dataset.phase = phase;
      showIn(row, {
        state: info?.state === 'dead' ? 'dead' : PHASES[phase],
        slot: info === undefined ? '–' : `${info.slot} · ${info.generation}`,
        blocks: info === undefined ? '0' : count(info.ownedBlocks),
        bytes: ((info?.ownedBytes ?? 0) / KiB).toFixed(1),
        time: share.ms.toFixed(1),
      });
    }
  }

  #showCounters(step: number): void {
    const { heap, flock } = this.#scene;
    const stats = heap.stats();
    const now = performance.now();
    const perSecond = ((step - this.#lastSteps) * 1000) / (now - this.#lastTime);
    this.#lastSteps = step;
    this.#lastTime = now;
    showIn(document.body, {
      step: count(step),
      rate: perSecond.toFixed(0),
      used: kib(stats.used),
      free: kib(stats.free),
      largest: kib(stats.largestFree),
      live: count(stats.liveBlocks),
      cached: kib(stats.cached ?? 0),
      failures: count(stats.failures),
      allocations: count(stats.allocations),
      frees: count(stats.frees),
      taken: count(stats.lockAcquisitions ?? 0),
      contended: count(stats.lockContended ?? 0),
    });
    const guard = flock.tryLock();
    if (guard === undefined) return;
    if (guard.recovered) beginAnew(guard.value);
    const { turns, takeovers, order } = guard.value;
    guard.unlock();
    showIn(document.body, { turns: count(turns), takeovers: count(takeovers), order: order.toFixed(2) });
  }
}

/** An element of the page that is there. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** A number of bytes for people. */
export function kib(bytes: number): string {
  return `${(bytes / KiB).toFixed(1)} KiB`;
}

/** A count for people. */
export function count(n: number): string {
  return n.toLocaleString('en');
}

function showIn(part: HTMLElement, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    const place = part.querySelector(`[data-value="${name}"]`)!;
    if (place.textContent !== value) place.textContent = value;
  }
}

/** A colour of the style sheet as a pixel. */
function pixelOf(colour: string): number {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d')!;
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return new Uint32Array(canvas.getImageData(0, 0, 1, 1).data.buffer)[0]!;
}

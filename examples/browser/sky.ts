/** The sky: draws the boids from the bytes that the workers read at the same moment. */

import { HEIGHT, type Scene, WIDTH, WORKERS } from './scene.ts';

/** How much of the last picture stays, in light and in dark. */
const FADE = 0.38;

/** The canvas of the flock. */
export class Sky {
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  readonly #scene: Scene;
  readonly #isDead: (index: number) => boolean;
  readonly #trails: boolean;
  #scale = 1;
  #colours: readonly string[] = [];
  #background = '';
  #hawk = '';
  #grey = '';

  /**
   * @param isDead whether nobody moves the share with an index
   * @param trails whether each picture shines through the next one
   */
  constructor(canvas: HTMLCanvasElement, scene: Scene, isDead: (index: number) => boolean, trails: boolean) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d', { alpha: false })!;
    this.#scene = scene;
    this.#isDead = isDead;
    this.#trails = trails;
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.readColours();
  }

  /** The page's colours: they change between light and dark. */
  readColours(): void {
    const style = getComputedStyle(this.#canvas);
    this.#colours = Array.from({ length: WORKERS }, (_, index) =>
      style.getPropertyValue(`--worker-${index + 1}`),
    );
    this.#background = style.getPropertyValue('--sky');
    this.#hawk = style.getPropertyValue('--hawk');
    this.#grey = style.getPropertyValue('--shared');
    this.#fit();
  }

  #fit(): void {
    const { clientWidth, clientHeight } = this.#canvas;
    this.#canvas.width = Math.round(clientWidth * devicePixelRatio);
    this.#canvas.height = Math.round(clientHeight * devicePixelRatio);
    this.#scale = this.#canvas.width / WIDTH;
    this.#clear(1);
    this.draw();
  }

  /** Draws what nobody writes at the moment: what the running step reads. */
  draw(): void {
    const { clock, boids, shares } = this.#scene;
    const { x, y, vx, vy } = boids[clock.step.load() & 1]!;
    const context = this.#context;
    this.#clear(this.#trails ? 1 - FADE : 1);
    context.setTransform(this.#scale, 0, 0, this.#scale, 0, 0);
    for (const [index, { from, to }] of shares.entries()) {
      context.beginPath();
      for (let i = from; i < to; i++) addBoid(context, x[i]!, y[i]!, vx[i]!, vy[i]!);
      context.fillStyle = this.#isDead(index) ? this.#grey : this.#colours[index]!;
      context.fill();
    }
    this.#drawHawk();
  }

  #clear(opacity: number): void {
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = opacity;
    context.fillStyle = this.#background;
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    context.globalAlpha = 1;
  }

  #drawHawk(): void {
    const { hawkX, hawkY } = this.#scene.clock;
    if (hawkX < 0) return;
    const context = this.#context;
    context.beginPath();
    context.arc(hawkX, hawkY, 14, 0, 2 * Math.PI);
    context.lineWidth = 4;
    context.strokeStyle = this.#hawk;
    context.stroke();
  }

  /** The hawk follows the pointer, or the arrow keys while the sky has the focus; Escape sends it away. */
  letHawkFly(): void {
    const { clock } = this.#scene;
    const moveTo = (x: number, y: number): void => {
      clock.hawkX = Math.min(Math.max(x, 0), WIDTH);
      clock.hawkY = Math.min(Math.max(y, 0), HEIGHT);
    };
    const leave = (): void => {
      clock.hawkX = -1;
    };
    this.#canvas.addEventListener('pointermove', (event) => {
      const { clientWidth, clientHeight } = this.#canvas;
      moveTo((event.offsetX / clientWidth) * WIDTH, (event.offsetY / clientHeight) * HEIGHT);
    });
    this.#canvas.addEventListener('pointerleave', leave);
    this.#canvas.addEventListener('blur', leave);
    this.#canvas.addEventListener('keydown', (event) => {
      const way = ARROWS[event.key];
      if (event.key === 'Escape') leave();
      if (way === undefined) return;
      event.preventDefault();
      const [x, y] = clock.hawkX < 0 ? [WIDTH / 2, HEIGHT / 2] : [clock.hawkX, clock.hawkY];
      moveTo(x + way[0] * 30, y + way[1] * 30);
    });
  }
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** A dart that points where the boid flies. */
function addBoid(context: CanvasRenderingContext2D, x: number, y: number, vx: number, vy: number): void {
  const length = Math.hypot(vx, vy) || 1;
  const dx = (vx / length) * 4;
  const dy = (vy / length) * 4;
  context.moveTo(x + dx * 2, y + dy * 2);
  context.lineTo(x - dx - dy * 0.8, y - dy + dx * 0.8);
  context.lineTo(x - dx + dy * 0.8, y - dy - dx * 0.8);
}

/**
 * Bodies that attract each other, moved by four threads over one array of structs.
 *
 *     node examples/n-body.js        (after npm run build)
 *
 * Every thread reads all bodies and moves its own quarter. A barrier keeps the steps apart: nobody moves
 * a body while another thread still reads where it was.
 */

import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Barrier, f64, Heap, struct } from 'sabheap';

const Body = struct('Body', { x: f64, y: f64, vx: f64, vy: f64, mass: f64 });
const BODIES = 400;
const THREADS = 4;
const STEPS = 20;
const DT = 0.001;

if (isMainThread) await main();
else work(workerData);

async function main() {
  const heap = Heap.create();
  // Columns: each field is a typed array over the shared bytes.
  const bodies = Body.array(heap, BODIES, { layout: 'columns' });
  for (let i = 0; i < BODIES; i++) {
    const angle = (i * 2 * Math.PI) / BODIES;
    bodies
      .at(i)
      .set({ x: Math.cos(angle), y: Math.sin(angle), vx: -Math.sin(angle), vy: Math.cos(angle), mass: 1 });
  }
  const barrier = Barrier.create(heap, THREADS);
  const before = momentum(bodies);
  const workers = Array.from({ length: THREADS }, (_, part) => {
    const data = { heap: heap.handle, bodies: bodies.handle, barrier: barrier.handle, part };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    return new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
  });
  await Promise.all(workers);
  const after = momentum(bodies);
  const radius = Math.hypot(bodies.at(7).x, bodies.at(7).y);
  console.log(`${BODIES} bodies, ${STEPS} steps, ${THREADS} threads`);
  console.log(`momentum kept: ${Math.hypot(after[0] - before[0], after[1] - before[1]) < 1e-9}`);
  console.log(`the ring draws together: ${radius < 1}`);
  bodies.free();
  barrier.destroy();
  console.log(`${heap.stats().liveBlocks} blocks are live`);
}

function momentum(bodies) {
  let px = 0;
  let py = 0;
  for (const { vx, vy, mass } of bodies) {
    px += vx * mass;
    py += vy * mass;
  }
  return [px, py];
}

function work({ heap: handle, bodies, barrier: barrierHandle, part }) {
  const heap = Heap.attach(handle);
  const barrier = Barrier.open(heap, barrierHandle);
  const array = Body.arrayAt(heap, bodies);
  const [x, y, vx, vy, mass] = ['x', 'y', 'vx', 'vy', 'mass'].map((name) => array.column(name));
  const from = (BODIES / THREADS) * part;
  const to = from + BODIES / THREADS;
  for (let step = 0; step < STEPS; step++) {
    for (let i = from; i < to; i++) {
      let ax = 0;
      let ay = 0;
      for (let j = 0; j < BODIES; j++) {
        const dx = x[j] - x[i];
        const dy = y[j] - y[i];
        const pull = mass[j] / (dx * dx + dy * dy + 0.01) ** 1.5;
        ax += dx * pull;
        ay += dy * pull;
      }
      vx[i] += ax * DT;
      vy[i] += ay * DT;
    }
    barrier.wait();
    for (let i = from; i < to; i++) {
      x[i] += vx[i] * DT;
      y[i] += vy[i] * DT;
    }
    barrier.wait();
  }
}

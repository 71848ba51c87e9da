/**
 * A pipeline of stages, each a thread, linked by channels: lines → parsed orders → totals.
 *
 *     node examples/pipeline.js        (after npm run build)
 *
 *     main ── string ──▶ parse (2 threads) ── box(Order) ──▶ total ── box(Total) ──▶ main
 *
 * An order is parsed into the heap once and then only changes hands: `send` moves the box, and whoever
 * received it drops it. A stage that is slower than the one before makes that one wait.
 */

import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Box, box, Channel, f64, Heap, string, struct, u32, vec } from 'sabheap';

const Item = struct('Item', { name: string, price: f64 });
const Order = struct('Order', { id: u32, customer: string, items: vec(Item) });
const Total = struct('Total', { id: u32, customer: string, items: u32, sum: f64 });

const STAGES = {
  parse(heap, lines, orders) {
    for (const line of lines) {
      const [id, customer, ...items] = line.split(' ');
      orders.send(
        Box.create(heap, Order, {
          id: Number(id),
          customer,
          items: items.map((item) => ({ name: item.split('=')[0], price: Number(item.split('=')[1]) })),
        }),
      );
    }
  },
  total(heap, orders, totals) {
    for (const order of orders) {
      const { id, customer, items } = order.value;
      let sum = 0;
      for (const { price } of items) sum += price;
      totals.send(Box.create(heap, Total, { id, customer, items: items.length, sum }));
      order.drop();
    }
  },
};

if (isMainThread) await main();
else stage(workerData);

async function main() {
  const heap = Heap.create();
  const lines = Channel.create(heap, string, { capacity: 16 });
  const orders = Channel.create(heap, box(Order), { capacity: 16 });
  const totals = Channel.create(heap, box(Total), { capacity: 16 });
  const start = (name, from, to) => {
    const { handle } = heap;
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { handle, name, from: from.handle, to: to.handle },
    });
    return new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
  };
  // Each stage ends when its channel is closed and empty; then the next channel is closed.
  const parsers = Promise.all([start('parse', lines, orders), start('parse', lines, orders)]);
  const totaller = start('total', orders, totals);
  parsers.then(() => orders.close());
  totaller.then(() => totals.close());

  const feed = async () => {
    for (let id = 1; id <= 1000; id++)
      await lines.sendAsync(`${id} customer-${id % 7} tea=2.5 cake=${id % 10}`);
    lines.close();
  };
  const fed = feed();
  const sums = new Map();
  for await (const total of totals) {
    const { customer, sum } = total.value;
    sums.set(customer, (sums.get(customer) ?? 0) + sum);
    total.drop();
  }
  await fed;

  for (const customer of [...sums.keys()].sort()) console.log(customer, sums.get(customer));
  for (const channel of [lines, orders, totals]) channel.destroy();
  console.log(`${heap.stats().liveBlocks} blocks are live`);
}

function stage({ handle, name, from, to }) {
  const heap = Heap.attach(handle);
  const [input, output] = name === 'parse' ? [string, box(Order)] : [box(Order), box(Total)];
  STAGES[name](heap, Channel.open(heap, from, input), Channel.open(heap, to, output));
}

/**
 * Wakes the load generator's thread when the next arrival is due. A thread of its own can sleep to a fraction of a
 * millisecond without spinning, which the event loop's timers cannot.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { intervalMs, startMs, stop } = workerData as { intervalMs: number; startMs: number; stop: Int32Array };

// performance.now() of threads differ in their origin; the wall origin makes them one clock.
const nowMs = () => performance.timeOrigin + performance.now();
let next = 0;
while (Atomics.load(stop, 0) === 0) {
  const waitMs = startMs + next * intervalMs - nowMs();
  if (waitMs > 0) {
    Atomics.wait(stop, 0, 0, waitMs);
    continue;
  }
  // One message for all that are due by now.
  const due = Math.floor((nowMs() - startMs) / intervalMs) + 1;
  parentPort?.postMessage(due);
  next = due;
}
parentPort?.close();

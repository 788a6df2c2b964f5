import { parentPort, workerData } from 'node:worker_threads';
import type { AsideJob } from './aside.ts';
import { createCedar } from './cedar-instance.ts';
import { readCedar } from './cedar-read.ts';
import { createCedarEngine } from './cedar.ts';

// Our own thread says what there is to do.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const job = workerData as AsideJob;
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
parentPort?.postMessage(answerOf(job));

function answerOf(asked: AsideJob): unknown {
  if (asked.kind === 'read') return readCedar(createCedar(), asked.text);
  const engine = createCedarEngine();
  return asked.requests.map((request) => engine.decide(asked.version, request));
}

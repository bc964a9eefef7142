import { startDevworker } from './app.ts';

const worker = await startDevworker({ port: Number(process.argv[2] ?? 9990) });
process.stdout.write(`${worker.url}\n`);

// @ts-check
/** `npm run test:kube`: the second part of `npm run test:helm` alone, on a real control plane. */
process.argv.splice(2, 0, '--cluster');
await import('./run.mjs');

import { type Check, failed, isOlder, passed } from './check.ts';

/** First releases with the security fixes of autumn 2026 (response-queue poisoning in http.Agent, Brotli). */
const SECURITY_FLOORS: Record<number, string> = { 24: '24.22.1', 26: '26.12.1' };
const OLDEST_MAJOR = 24;

export function checkNode(version: string): Check {
  const major = Number(version.split('.')[0]);
  if (major < OLDEST_MAJOR) {
    return failed(
      'node',
      `Node ${version} is too old`,
      `run with Node ${OLDEST_MAJOR} or newer; npm start uses the pinned one`,
    );
  }
  const floor = SECURITY_FLOORS[major];
  if (floor !== undefined && isOlder(version, floor)) {
    return passed(
      'node',
      `Node ${version}`,
      `a public router should run Node ${floor} or newer (security fixes); the images do`,
    );
  }
  return passed('node', `Node ${version}`);
}

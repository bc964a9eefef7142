/** Runs the Python SDK's checks; which Python has the SDK. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SCRIPT = fileURLToPath(new URL('openai_sdk.py', import.meta.url));

/** The first of these Pythons that has the `openai` package, or null. */
export function pythonWithSdk(candidates: readonly string[]): string | null {
  const has = (python: string) => spawnSync(python, ['-c', 'import openai']).status === 0;
  return candidates.find(has) ?? null;
}

/** One line per check; throws with all of them when one fails. */
export async function checkPythonSdk(
  python: string,
  at: { url: string; key: string; emptyKey: string; model: string },
): Promise<string[]> {
  const args = [SCRIPT, `${at.url}/v1`, at.key, at.emptyKey, at.model];
  const { stdout } = await promisify(execFile)(python, args).catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`${error.stdout}${error.stderr}`);
  });
  return stdout.trimEnd().split('\n');
}

/** The official Python SDK (it comes with vLLM) against the router and the real engine. */
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { startWorld } from '../conformance/contracts/kit.ts';
import { checkPythonSdk, pythonWithSdk } from '../conformance/python/run.ts';
import { MODEL } from '../e2e/router-kit.ts';
import { vllmFolder } from './config.ts';

test('the official Python SDK: plain, streamed, schema, tools, models, a left stream, 400, 401, 402, 404', async () => {
  const python = pythonWithSdk([join(vllmFolder, 'venv', 'bin', 'python')]);
  expect(python).not.toBeNull();
  const world = await startWorld({}, 'real vLLM');
  try {
    const empty = await world.paidKey({ capDayNusd: '1' });
    const at = { url: world.router.url, key: world.key.text, emptyKey: empty.text, model: MODEL };
    expect(await checkPythonSdk(python!, at)).toEqual(expect.arrayContaining(['ok schema', 'ok tool call', 'ok 402']));
  } finally {
    await world.stop();
  }
});

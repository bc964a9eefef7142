/** The official Python SDK, where Python has it (`pip install openai`); said in one line where not. */
import { test } from '@jest/globals';
import { MODEL } from '../e2e/router-kit.ts';
import { startWorld } from './contracts/kit.ts';
import { checkPythonSdk, pythonWithSdk } from './python/run.ts';

const python = pythonWithSdk(['python3']);

(python === null ? test.skip : test)(
  python === null
    ? 'skipped: python3 has no package openai'
    : 'the Python SDK streams, decodes, calls tools and tells its errors',
  async () => {
    const world = await startWorld();
    try {
      const empty = await world.paidKey({ capDayNusd: '1' });
      await checkPythonSdk(python!, { url: world.router.url, key: world.key.text, emptyKey: empty.text, model: MODEL });
    } finally {
      await world.stop();
    }
  },
);

import { expect, test } from '@jest/globals';
import { parseConfig } from '@tollgate/shared/runtime/config';
import { consoleShape } from '../../services/console/src/config.ts';
import { devworkerShape } from '../../services/devworker/src/config.ts';
import { meteringShape } from '../../services/metering/src/config.ts';
import { routerShape, stopWithinMs } from '../../services/router/src/config.ts';
import { loadCompose, sampleEnv } from './compose-file.ts';

const compose = loadCompose(sampleEnv);
const shapes = {
  router: routerShape,
  console: consoleShape,
  metering: meteringShape,
  'devworker-1': devworkerShape,
  'devworker-2': devworkerShape,
};

test.each(Object.entries(shapes))(
  '%s gets every variable it demands, and none that it does not know',
  (name, shape) => {
    const env = compose.services[name]!.environment!;
    expect(Object.keys(env).filter((each) => !(each in shape))).toEqual([]);
    expect(() => parseConfig(shape, env)).not.toThrow();
  },
);

test('a router may finish its longest answer before it is killed', () => {
  const { environment, stop_grace_period } = compose.services.router!;
  const config = parseConfig(routerShape, environment!);
  expect(Number.parseInt(stop_grace_period!, 10) * 1_000).toBeGreaterThanOrEqual(stopWithinMs(config) + 10_000);
  // The router gives running requests 0.6 of its grace.
  expect(config.TOLLGATE_STOP_GRACE_MS * 0.6).toBeGreaterThanOrEqual(config.TOLLGATE_TOTAL_TIMEOUT_MS);
});

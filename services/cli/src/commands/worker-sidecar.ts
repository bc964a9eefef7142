/**
 * `tollgate worker-sidecar`: stands beside one vLLM or SGLang on a machine without Kubernetes, asks it whether it is well,
 * and announces it to the routers through Redis while it is. When the engine fails, or the sidecar is told to stop, it
 * says first that the worker is leaving, waits for what runs there, and then takes the announcement away.
 */
import { createRedis, waitUntilReady } from '@tollgate/shared/redis/client';
import { FleetStore } from '@tollgate/shared/redis/fleet-store';
import { Registrar } from '@tollgate/shared/redis/registrar';
import { createLifecycle } from '@tollgate/shared/runtime/lifecycle';
import { createLogger } from '@tollgate/shared/runtime/logger';
import type { Command } from 'commander';
import { sidecarSettings } from '../config.ts';
import type { Context } from '../context.ts';
import { askEngine, type EngineState } from '../sidecar/engine.ts';
import { type Health, judge, UNKNOWN } from '../sidecar/health.ts';

interface Options {
  engineUrl: string;
  advertise?: string;
  models?: string;
  ttl?: string;
  probe?: string;
  drain?: string;
}

export function addWorkerSidecarCommand(program: Command, context: Context): void {
  program
    .command('worker-sidecar')
    .description('announce the vLLM or SGLang beside it to the routers, while it is well (REDIS_URL)')
    .requiredOption('--engine-url <url>', 'where the engine answers, as seen from here')
    .option('--advertise <url>', 'where routers reach it; the engine URL unless given')
    .option('--models <ids>', 'only these of its models, comma-separated')
    .option('--ttl <seconds>', 'routers forget it so long after the last word (15)')
    .option('--probe <seconds>', 'time between two questions to the engine (2)')
    .option('--drain <seconds>', 'on stop, wait so long for what runs there (900)')
    .action(async (options: Options) => {
      const settings = sidecarSettings(context.env, options);
      const logger = createLogger({ service: 'worker-sidecar', level: settings.logLevel });
      const { clock } = context;
      const lifecycle = createLifecycle({ logger, graceMs: settings.drainMs + 10_000 });
      const running = lifecycle.run();
      const onError = (error: Error) => logger.debug({ err: error }, 'redis connection');
      const redis = createRedis({ url: settings.redisUrl, name: 'worker-sidecar', onError });
      lifecycle.defer('redis', () => redis.disconnect());
      await waitUntilReady(redis, lifecycle.signal).catch(() => {});

      const ask = (): Promise<EngineState> => askEngine(settings.engineUrl, settings.probeMs);
      let registrar: Registrar | null = null;
      let health: Health = UNKNOWN;
      const register = async (state: EngineState): Promise<void> => {
        registrar ??= new Registrar(new FleetStore(redis), clock, {
          registration: {
            url: settings.advertise,
            engine: state.engine,
            ...(settings.models !== null && { models: settings.models }),
          },
          ttlMs: settings.ttlMs,
          onState: (written) =>
            logger[written ? 'info' : 'warn'](written ? 'announced' : 'Redis takes no announcement'),
        });
        await registrar.announce();
      };
      const probe = async (): Promise<void> => {
        const state = await ask();
        const next = judge(health, state.isWell);
        if (next.isWell !== health.isWell) {
          logger.info(
            { url: settings.advertise, models: state.models, why: state.why },
            next.isWell ? 'engine is well' : 'engine is not well',
          );
          if (next.isWell) await register(state);
          else await registrar?.withdraw();
        }
        health = next;
      };
      let probing = Promise.resolve();
      const tick = () => {
        probing = probing.then(probe).catch((error: unknown) => logger.warn({ err: error }, 'probe failed'));
      };
      tick();
      const timer = clock.setInterval(tick, settings.probeMs);
      lifecycle.defer('announcement', async () => {
        timer.cancel();
        await probing;
        if (registrar === null || !health.isWell) return;
        await registrar.leave();
        logger.info('leaving: waits for what runs there');
        const endMs = clock.monotonicMs() + settings.drainMs;
        // Routers hear of it within a second; what they have sent by then is running or waiting.
        await clock.sleep(Math.min(settings.probeMs, settings.drainMs));
        while (clock.monotonicMs() < endMs) {
          const { requests } = await ask();
          if (requests === 0 || requests === null) break;
          await clock.sleep(settings.probeMs);
        }
        await registrar.withdraw();
      });
      await running;
    });
}

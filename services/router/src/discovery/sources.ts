/** The configured sources, each beside the others. */
import type { FleetStore } from '@tollgate/shared/redis/fleet-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Logger } from '@tollgate/shared/runtime/logger';
import type { Random } from '@tollgate/shared/runtime/random';
import { type KubernetesOptions, KubernetesSource } from './kubernetes.ts';
import { RedisSource } from './redis-source.ts';
import { type FoundWorker, mergeFound, type WorkerSource } from './source.ts';

export interface DiscoveryOptions {
  /** The configured list: always there. */
  listed: readonly FoundWorker[];
  sources: readonly ('redis' | 'kubernetes')[];
  redisEveryMs: number;
  kubernetes: KubernetesOptions;
}

export interface DiscoveryMetrics {
  /** Workers that a source knows at present. */
  discovered(source: string, workers: number): void;
}

export class Discovery {
  private readonly sources: WorkerSource[] = [];
  private readonly redis: RedisSource | null = null;
  private readonly listed: readonly FoundWorker[];
  private readonly metrics: DiscoveryMetrics;

  constructor(
    options: DiscoveryOptions,
    store: FleetStore,
    clock: Clock,
    random: Pick<Random, 'float'>,
    logger: Logger,
    metrics: DiscoveryMetrics,
  ) {
    this.listed = options.listed;
    this.metrics = metrics;
    if (options.sources.includes('redis')) {
      this.redis = new RedisSource(store, clock, options.redisEveryMs);
      this.sources.push(this.redis);
    }
    if (options.sources.includes('kubernetes')) {
      this.sources.push(new KubernetesSource(options.kubernetes, clock, logger, () => random.float()));
    }
  }

  /** Everything that is known at present. */
  get workers(): FoundWorker[] {
    return mergeFound([this.listed, ...this.sources.map((source) => source.workers)]);
  }

  /** Begins; `changed` is called with all workers after each change. Resolves when each source was asked once. */
  async start(changed: (workers: FoundWorker[]) => void): Promise<void> {
    const tell = () => {
      this.metrics.discovered('list', this.listed.length);
      for (const source of this.sources) this.metrics.discovered(source.name, source.workers.length);
      changed(this.workers);
    };
    tell();
    await Promise.all(this.sources.map((source) => source.start(tell)));
  }

  /** Somebody published that workers registered or left, or Redis has come. Resolves when that has been read. */
  async hinted(): Promise<void> {
    await this.redis?.read();
  }

  stop(): void {
    for (const source of this.sources) source.stop();
  }
}

/**
 * The product in virtual time: modelled engines behind routers with their real waiting room (fair queue, late binding),
 * fleet (probes, capacity, outliers), picker and, where there are several, shared books. Policy `cost`.
 */
import { virtualClock } from '@tollgate/devworker/engine/clock';
import { createEngine, type Engine } from '@tollgate/devworker/engine/engine';
import { GPUS } from '@tollgate/devworker/engine/step-time';
import { Fleet, type FleetMetrics } from '@tollgate/router/fleet/fleet';
import { ReplicaLink } from '@tollgate/router/fleet/replica-link';
import { CHAT_NEED, type Ticket } from '@tollgate/router/fleet/worker';
import {
  type RoomOptions,
  type Seeker,
  WaitingRoom,
  YIELD_RULE,
  type YieldRule,
} from '@tollgate/router/queue/waiting-room';
import type { Pools } from '@tollgate/router/upstream/pools';
import { type Clock, sleepOn, type Timer } from '@tollgate/shared/runtime/clock';
import { type RandomSource, seededSource } from './routing/random.ts';
import { BLOCK_TOKENS, type SimRequest, type Stage, type Workload } from './routing/workload.ts';

export interface ModelledFleetOptions {
  workers: number;
  seed: number;
  room: RoomOptions;
  /** 1 unless told; a request comes to any of them. */
  routers?: number;
  /** The product's unless told. */
  yields?: YieldRule;
}

interface Router {
  fleet: Fleet;
  room: WaitingRoom;
}

/** How a request is sent. */
export interface Manner {
  lane: Seeker['lane'];
  /** Its answer comes in one piece: nobody sees the first token. */
  isWhole: boolean;
  /** In the units of the fair queue; what the fleet expects of it unless told. */
  work?: number;
}

/** What became of a request; times in engine milliseconds since it came. */
export interface Ended {
  cameMs: number;
  ttftMs: number;
  totalMs: number;
  tokens: number;
  promptTokens: number;
  cachedTokens: number;
}

const MODEL = 'm';
const BYTES_PER_TOKEN = 4;
/** The product's own settings (router/src/config.ts). */
const PROBE_MS = 1_000;
/** As the router's watch: late steps are taken, and answers that come whole are counted as started, so often. */
const WATCH_MS = 250;
/** What a router tells the others waits for company (TOLLGATE_SHARE_BOOKS_MS), and is on its way. */
const SHARE_MS = 15;
const ON_WAY_MS = 5;

export class ModelledFleet {
  private readonly virtual = virtualClock();
  private readonly engines: Engine[];
  private readonly routers: Router[];
  /** Whole answers under way. */
  private readonly whole = new Set<Ticket>();
  private readonly seed: number;
  private readonly random: RandomSource;
  private nextId = 0;
  /** Requests that have come and not ended. */
  open = 0;

  private constructor({ workers, seed, room, routers = 1, yields = YIELD_RULE }: ModelledFleetOptions) {
    this.seed = seed;
    this.random = seededSource(seed * 104_729 + 5);
    this.engines = Array.from({ length: workers }, () =>
      createEngine({ clock: this.virtual, blockSize: BLOCK_TOKENS, kvTokens: GPUS.h100.kvTokens }),
    );
    const clock = clockOn(this.virtual);
    this.routers = Array.from({ length: routers }, () => this.router(room, yields, clock));
    if (routers > 1) this.link(clock);
  }

  private router(options: RoomOptions, yields: YieldRule, clock: Clock): Router {
    const fleetOptions = {
      maxConcurrency: null,
      probeEveryMs: PROBE_MS,
      probeTimeoutMs: PROBE_MS,
      policy: 'cost' as const,
      promisedContext: () => null,
    };
    const random = { float: this.random.uniform };
    const fleet = new Fleet(fleetOptions, answeringFor(this.engines), clock, random, SILENT, NO_METRICS);
    fleet.setWorkers(this.engines.map((_, i) => ({ url: `w${i}`, engine: 'vllm', models: null, leaving: false })));
    const unheard = { queueDepth() {}, queueWaited() {}, queueRejected() {} };
    const room = new WaitingRoom(options, fleet, clock, unheard, yields);
    fleet.onRoom = () => room.wake();
    return { fleet, room };
  }

  /** Routers tell each other what they do, as over Redis. */
  private link(clock: Clock): void {
    const quietly = { replicas() {}, replicaLag() {}, replicaGaps() {} };
    const links: ReplicaLink[] = [];
    const publish = async (text: string) => {
      this.at(this.nowMs + ON_WAY_MS, () => {
        for (const link of links) link.received(text);
      });
    };
    for (const [i, { fleet }] of this.routers.entries()) {
      const options = { replica: `r${i}`, flushMs: SHARE_MS };
      const link = new ReplicaLink(options, publish, fleet.others, clock, SILENT, quietly);
      fleet.shareWith(link);
      links.push(link);
    }
    for (const link of links) {
      link.start();
      link.setUp(true);
    }
  }

  static async start(options: ModelledFleetOptions): Promise<ModelledFleet> {
    const made = new ModelledFleet(options);
    for (const { fleet } of made.routers) await fleet.probeAll();
    return made;
  }

  get nowMs(): number {
    return this.virtual.nowMs();
  }

  at(atMs: number, fn: () => void): void {
    this.virtual.schedule(atMs, fn);
  }

  /** Begins a workload, whose requests go to `send`. */
  begin(workload: Workload, load: number, durationMs: number, send: Stage['send']): void {
    const stage = {
      nowMs: () => this.nowMs,
      at: (atMs: number, fn: () => void) => this.at(atMs, fn),
      send,
      random: seededSource(this.seed),
    };
    workload.start(stage, load, durationMs);
  }

  /** Puts a request into the line; it ends once. */
  send(sim: SimRequest, { lane, isWhole, work }: Manner, onEnd: (end: Ended) => void): void {
    const cameMs = this.nowMs;
    const { fleet, room } = this.routers[this.routers.length === 1 ? 0 : this.random.integer(this.routers.length)]!;
    const { tenant, promptTokens } = sim;
    const request = {
      id: String(this.nextId++),
      model: MODEL,
      tenant,
      promptTokens,
      promptBytes: promptTokens * BYTES_PER_TOKEN,
      blocks: sim.blocks,
      blockTokens: BLOCK_TOKENS,
      maxOutputTokens: 4096,
      session: sim.session,
      need: CHAT_NEED,
    };
    const seeker: Seeker = {
      request,
      account: tenant,
      weight: 1,
      work: work ?? fleet.expectedWork(request),
      lane,
      excluded: [],
      deadlineMs: Number.POSITIVE_INFINITY,
      waitsForWorker: false,
      listener: null,
    };
    const begin = (ticket: Ticket) => {
      if (isWhole) this.whole.add(ticket);
      const queuedMs = this.nowMs - cameMs;
      this.engines[Number(ticket.worker.slice(1))]!.submit(
        { promptTokens, blockHashes: [...sim.blocks, ...sim.answerBlocks], outputTokens: sim.outputTokens },
        {
          onFirstToken() {
            if (!isWhole) ticket.firstToken();
          },
          onFinish: (_reason, { cachedTokens, generatedTokens, firstTokenMs, totalMs }) => {
            this.open--;
            this.whole.delete(ticket);
            ticket.end({ promptTokens, cachedTokens, completionTokens: generatedTokens, final: true });
            const ttftMs = queuedMs + (firstTokenMs ?? totalMs);
            onEnd({ cameMs, ttftMs, totalMs: queuedMs + totalMs, tokens: generatedTokens, promptTokens, cachedTokens });
          },
        },
      );
    };
    this.open++;
    const taken = room.seat(seeker);
    if ('leave' in taken) void taken.ticket.then(begin);
    else begin(taken);
  }

  /**
   * Lets time pass until `untilMs`, and on while `goesOn`. Step by step, so that what the waiting room puts off to a
   * microtask happens at its time, to the millisecond.
   */
  async run(untilMs: number, goesOn: (ms: number) => boolean = () => false): Promise<void> {
    for (let ms = Math.floor(this.nowMs) + 1; ms <= untilMs || goesOn(ms); ms++) {
      this.virtual.run(ms);
      await null;
      if (ms % WATCH_MS === 0) {
        for (const ticket of this.whole) ticket.assumeStarted();
        for (const { room } of this.routers) room.check(ms);
      }
      if (ms % PROBE_MS === 0) for (const { fleet } of this.routers) await fleet.probeAll();
    }
  }
}

const NO_METRICS: FleetMetrics = {
  workerUp() {},
  workerLeft() {},
  workerForgotten() {},
  workerGauges() {},
  modelRunning() {},
  modelLeft() {},
  transition() {},
  breaker() {},
};

const quiet = () => {};
const SILENT = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet } as never;

/** What the engines say of themselves when they are probed. */
function answeringFor(engines: readonly Engine[]): Pools {
  const blocks = Math.floor(GPUS.h100.kvTokens / BLOCK_TOKENS);
  const fixed: Record<string, string> = {
    '/health': '',
    '/v1/models': JSON.stringify({ data: [{ id: MODEL, max_model_len: 131_072, owned_by: 'vllm' }] }),
    '/version': '{"version":"0.30.0"}',
  };
  const call = async (url: string, { path }: { path: string }) => {
    if (path !== '/metrics') return { status: 200, text: fixed[path] ?? '' };
    const { running, waiting, kvUsage } = engines[Number(url.slice(1))]!.stats();
    const lines = [
      `vllm:cache_config_info{block_size="${BLOCK_TOKENS}",num_gpu_blocks="${blocks}"} 1`,
      `vllm:num_requests_running ${running}`,
      `vllm:num_requests_waiting ${waiting}`,
      `vllm:kv_cache_usage_perc ${kvUsage}`,
    ];
    return { status: 200, text: `${lines.join('\n')}\n` };
  };
  return { call, forgetIdle() {} } as unknown as Pools;
}

/** The engines' clock as the router's. */
function clockOn(virtual: ReturnType<typeof virtualClock>): Clock {
  const timer = (cancel: () => void): Timer => {
    const made: Timer = { cancel, unref: () => made };
    return made;
  };
  const setTimeoutMs = (fn: () => void, delayMs: number) => timer(virtual.schedule(virtual.nowMs() + delayMs, fn));
  return {
    nowMs: () => virtual.nowMs(),
    monotonicMs: () => virtual.nowMs(),
    setTimeout: setTimeoutMs,
    setInterval(fn, everyMs) {
      let timer: Timer;
      const again = () => {
        timer = setTimeoutMs(again, everyMs);
        fn();
      };
      timer = setTimeoutMs(again, everyMs);
      const made: Timer = { cancel: () => timer.cancel(), unref: () => made };
      return made;
    },
    sleep: (delayMs, signal) => sleepOn({ setTimeout: setTimeoutMs }, delayMs, signal),
  };
}

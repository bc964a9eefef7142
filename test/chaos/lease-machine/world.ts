/**
 * Two real Redis servers, a clock that the test turns, and a network that may lose, repeat or delay any script call.
 */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type MoneyClient, MoneyScripts } from '@tollgate/shared/redis/money-scripts';
import type { LuaScript } from '@tollgate/shared/redis/script-loader';
import { loadScript } from '@tollgate/shared/redis/script-loader';
import { eventually } from '@tollgate/shared/testkit/eventually';
import { startRedis, type TestRedis } from '@tollgate/shared/testkit/redis';

/**
 * What happens to one script call. `lost_after` = it ran, its answer did not arrive; `delayed` = the caller has given up,
 * it runs when `deliver` says so; `again_later` = it runs now and once more then.
 */
export const FATES = ['ok', 'lost', 'lost_after', 'twice', 'delayed', 'again_later'] as const;
export type Fate = (typeof FATES)[number];

/** Either of the two servers. */
export type Side = 0 | 1;
export const otherSide = (side: Side): Side => (side === 0 ? 1 : 0);

/** Replacement of text in a script: a planted bug. */
export type Mutation = Readonly<Record<string, readonly [from: string, to: string]>>;

/** The servers' clocks differ by this much from the keeper's: together less than the 60 s that leases allow for. */
const CLOCK_OFFSETS_MS = [25_000, -25_000] as const;

export class CallLost extends Error {
  override readonly name = 'CallLost';
}

export class World {
  readonly servers: readonly [TestRedis, TestRedis];
  readonly money: readonly [MoneyScripts, MoneyScripts];
  /** The server that clients believe to be the master. */
  active: Side = 0;
  /** The keeper's clock. */
  nowMs = 1_800_000_000_000;
  /** Fates of the next calls; `ok` when empty. */
  fates: Fate[] = [];
  /** Calls under way that nobody waits for any more. */
  readonly delayed: (() => Promise<unknown>)[] = [];
  #runs = 0;

  private constructor(servers: [TestRedis, TestRedis], buckets: number, mutation: Mutation) {
    this.servers = servers;
    const scripts = (name: string): LuaScript => mutate(loadScript(name), mutation[name]);
    const client = (side: Side): MoneyClient => ({
      evalsha: () => Promise.reject(new Error('NOSCRIPT')),
      eval: (text, keyCount, ...args) => this.#call(side, text, keyCount, args),
      hget: (key, field) => this.servers[side].client.hget(key, field),
      hmget: (key, ...fields) => this.servers[side].client.hmget(key, ...fields),
    });
    this.money = [new MoneyScripts(client(0), buckets, { scripts }), new MoneyScripts(client(1), buckets, { scripts })];
  }

  /** Both servers empty; `attached`: the second is a replica of the first. */
  static async start(
    servers: [TestRedis, TestRedis],
    buckets: number,
    attached: boolean,
    mutation: Mutation = {},
  ): Promise<World> {
    const world = new World(servers, buckets, mutation);
    for (const server of servers) {
      await server.client.replicaof('NO', 'ONE');
      await server.client.flushall();
      await server.client.script('FLUSH', 'SYNC');
      rmSync(join(server.dir, 'dump.rdb'), { force: true });
    }
    if (attached) await world.attach();
    return world;
  }

  clockMs(side: Side): number {
    return this.nowMs + CLOCK_OFFSETS_MS[side];
  }

  /** The passive server becomes a replica of the active one and has copied it on return. */
  async attach(): Promise<void> {
    const [master, replica] = [this.servers[this.active], this.servers[otherSide(this.active)]];
    await replica.client.replicaof('127.0.0.1', master.port);
    await eventually(
      'replica is in sync',
      async () => (await replica.client.info('replication')).includes('master_link_status:up'),
      { everyMs: 2 },
    );
  }

  /** The passive server stops copying and is a master of its own, with what had reached it. */
  async detach(): Promise<void> {
    const passive = this.servers[otherSide(this.active)];
    if (!(await this.isMaster(otherSide(this.active)))) {
      // What was acknowledged before has arrived: lag is what happens between `detach` and `promote`.
      await this.servers[this.active].client.wait(1, 50);
      await passive.client.replicaof('NO', 'ONE');
    }
  }

  /** Clients turn to the passive server. The old master lives on, and delayed calls still reach it. */
  async promote(): Promise<void> {
    await this.detach();
    this.active = otherSide(this.active);
  }

  passTime(ms: number): void {
    this.nowMs += ms;
  }

  async isMaster(side: Side): Promise<boolean> {
    return (await this.servers[side].client.info('replication')).includes('role:master');
  }

  /** Restarts the active server with what its disk has: the present data if `save`, else an older snapshot or nothing. */
  async restart(save: boolean): Promise<void> {
    const server = this.servers[this.active];
    // A replica's copy may be under way, which is a background save too.
    if (save) await eventually('saved', () => server.client.save(), { everyMs: 2 });
    await server.kill9();
    await server.start();
    await server.client.ping();
  }

  #call(side: Side, text: string, keyCount: number, args: (string | number)[]): Promise<unknown> {
    const run = (): Promise<unknown> => {
      const ms = this.clockMs(side);
      // No two runs see the same microsecond, as on a real server.
      this.#runs = (this.#runs + 1) % 1000;
      const time = `{'${Math.floor(ms / 1000)}', '${(ms % 1000) * 1000 + this.#runs}'}`;
      return this.servers[side].client.eval(text.replaceAll("redis.call('TIME')", time), keyCount, ...args);
    };
    const quietly = () => run().catch(() => undefined);
    switch (this.fates.shift() ?? 'ok') {
      case 'ok':
        return run();
      case 'lost':
        return Promise.reject(new CallLost());
      case 'lost_after':
        return quietly().then(() => Promise.reject(new CallLost()));
      case 'twice':
        return quietly().then(run);
      case 'delayed':
        this.delayed.push(quietly);
        return Promise.reject(new CallLost());
      case 'again_later':
        this.delayed.push(quietly);
        return run();
    }
  }
}

/** Two servers that copy each other without the delays that are good for large ones. */
export async function startServers(): Promise<[TestRedis, TestRedis]> {
  const args = ['--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0', '--repl-diskless-load', 'swapdb'];
  const quick = [...args, '--hz', '100', '--repl-backlog-ttl', '0'];
  return [await startRedis({ args: quick }), await startRedis({ args: quick })];
}

function mutate(script: LuaScript, change: readonly [string, string] | undefined): LuaScript {
  if (!change) return script;
  if (!script.text.includes(change[0])) throw new Error(`no such text in ${script.name}: ${change[0]}`);
  return { ...script, text: script.text.replace(change[0], () => change[1]) };
}

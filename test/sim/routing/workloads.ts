import type { TraceRow } from './traces.ts';
import { hashSource, type Stage, Text, type Workload } from './workload.ts';

/**
 * The study's workloads. Each one's `load` is in units of its knee, measured once with the zero-knob policy `lpwl` on the
 * tuning seeds (`study.ts --find-knees`): the load at which 90 % of requests still meet the SLO on 8 workers.
 */
const MINUTE_MS = 60_000;

/** Replays rows at `rate` times their own pace, `jitterMs` spread (the Mooncake file has 3 s buckets). */
export function traceWorkload(name: string, rows: readonly TraceRow[], kneeRate: number): Workload {
  return {
    name,
    durationMs: 8 * MINUTE_MS,
    start(stage, load, durationMs) {
      const rate = kneeRate * load;
      const fresh = hashSource();
      // Start anywhere in the trace, so that seeds differ in more than jitter.
      const spanMs = rows[rows.length - 1]!.atMs;
      const window = Math.min(spanMs, durationMs * rate);
      const startMs = stage.random.uniform() * Math.max(0, spanMs - window);
      for (const row of rows) {
        if (row.atMs < startMs || row.atMs > startMs + window) continue;
        const atMs = (row.atMs - startMs + stage.random.uniform() * row.jitterMs) / rate;
        const full = Math.floor(row.promptTokens / 512);
        const blocks = row.blocks ? row.blocks.slice(0, full) : Array.from({ length: full }, fresh);
        stage.at(atMs, () =>
          stage.send({
            tenant: 'a',
            session: null,
            promptTokens: row.promptTokens,
            outputTokens: Math.max(1, row.outputTokens),
            blocks,
            answerBlocks: [],
          }),
        );
      }
    },
  };
}

export interface SessionShape {
  /** Share of requests that belong to a session seen before. */
  back: number;
  /** Such a request goes on with one of about so many, the latest ones more often. */
  among: number;
}

/** Arrivals and lengths of Azure's conversation trace; prefixes made: sessions that come back with their history. */
export function azureSessions(
  name: string,
  rows: readonly TraceRow[],
  kneeRate: number,
  { back: backShare, among }: SessionShape = { back: 0.7, among: 60 },
): Workload {
  return {
    name,
    durationMs: 2.5 * MINUTE_MS,
    start(stage, load, durationMs) {
      const fresh = hashSource();
      const sessions: { text: Text; id: string }[] = [];
      let next = 0;
      const rate = kneeRate * load;
      const first = stage.random.integer(rows.length);
      const originMs = rows[first]!.atMs;
      const lapMs = rows[rows.length - 1]!.atMs;
      // Behind its end the trace begins anew: with new prefixes, since those are made.
      for (let k = first; ; k++) {
        const row = rows[k % rows.length]!;
        const atMs = (row.atMs - originMs + Math.floor(k / rows.length) * lapMs) / rate;
        if (atMs > durationMs) break;
        stage.at(atMs, () => {
          const back = stage.random.uniform() < backShare;
          // One from before the run begins is new to it. (Were it the oldest one known, a single session would get all.)
          const known = back ? sessions[sessions.length - 1 - Math.floor(stage.random.exponential(among))] : undefined;
          const session = known ?? { text: new Text(fresh), id: `s${next++}` };
          if (known === undefined) sessions.push(session);
          session.text.append(Math.max(64, row.promptTokens));
          sendTurn(stage, session.text, row.outputTokens, session.id, 'a');
          if (session.text.tokens > 60_000) sessions.splice(sessions.indexOf(session), 1);
        });
      }
    },
  };
}

function sendTurn(stage: Stage, text: Text, outputTokens: number, session: string, tenant: string, onEnd?: () => void) {
  const promptTokens = text.tokens;
  const blocks = text.blocks.slice();
  const output = Math.max(1, Math.round(outputTokens));
  text.append(output);
  const answerBlocks = text.blocks.slice(blocks.length);
  stage.send({ tenant, session, promptTokens, outputTokens: output, blocks, answerBlocks }, onEnd);
}

export interface AgentShape {
  name: string;
  /** System prompt shared by all agents. */
  systemTokens: number;
  /** Median of what a turn adds to the context. */
  toolTokens: number;
  /** Mean think time between turns. */
  thinkMs: number;
}

const CODING: AgentShape = { name: 'agents', systemTokens: 4_096, toolTokens: 700, thinkMs: 4_000 };

/** Closed loop: `kneeAgents` coding agents; each turn adds tool output to a growing context, think time between. */
export function agents(kneeAgents: number, shape: AgentShape = CODING): Workload {
  return {
    name: shape.name,
    durationMs: 6 * MINUTE_MS,
    start(stage, load, durationMs) {
      const fresh = hashSource();
      const system = new Text(fresh).append(shape.systemTokens);
      let next = 0;
      const run = () => {
        const id = `agent${next++}`;
        let text = new Text(fresh, system).append(1_500);
        let turns = 8 + stage.random.integer(30);
        const turn = () => {
          if (stage.nowMs() > durationMs) return;
          if (turns-- === 0 || text.tokens > 80_000) {
            text = new Text(fresh, system).append(1_500);
            turns = 8 + stage.random.integer(30);
          }
          text.append(Math.round(stage.random.logNormal(shape.toolTokens, 1)));
          sendTurn(stage, text, stage.random.logNormal(160, 0.8), id, 'a', () =>
            stage.at(stage.nowMs() + stage.random.exponential(shape.thinkMs), turn),
          );
        };
        stage.at(stage.random.uniform() * 30_000, turn);
      };
      const count = Math.max(1, Math.round(kneeAgents * load));
      for (let i = 0; i < count; i++) run();
    },
  };
}

export interface PrefixShape {
  name: string;
  groups: number;
  prefixTokens: number;
}

const DOCUMENTS: PrefixShape = { name: 'shared-prefix', groups: 150, prefixTokens: 6_144 };

/** Open loop: `groups` long documents with questions on them (business-to-business, shared prefix). */
export function sharedPrefix(kneeRps: number, { name, groups, prefixTokens }: PrefixShape = DOCUMENTS): Workload {
  return {
    name,
    durationMs: 2.5 * MINUTE_MS,
    start(stage, load, durationMs) {
      const fresh = hashSource();
      const documents = Array.from({ length: groups }, () => new Text(fresh).append(prefixTokens));
      const rps = kneeRps * load;
      const arrive = () => {
        if (stage.nowMs() > durationMs) return;
        // Zipf-like: some documents are asked far more often.
        const rank = Math.floor(groups ** stage.random.uniform()) - 1;
        const text = new Text(fresh, documents[rank]!).append(Math.round(stage.random.logNormal(400, 0.7)));
        sendTurn(stage, text, stage.random.logNormal(220, 0.6), `q${rank}`, 'a');
        stage.at(stage.nowMs() + stage.random.exponential(1_000 / rps), arrive);
      };
      arrive();
    },
  };
}

/** Many tenants of equal weight and one that sends ten times its share; only the others' figures count. */
export function noisyTenant(kneeRps: number, noise: boolean): Workload {
  return {
    name: noise ? 'noisy-tenant' : 'noisy-tenant-alone',
    durationMs: 2.5 * MINUTE_MS,
    start(stage, load, durationMs) {
      const fresh = hashSource();
      const tenants = 10;
      const rps = (kneeRps * load) / 20;
      const flow = (tenant: string, mean: number, isNoise: boolean) => {
        const system = new Text(fresh).append(2_048);
        const arrive = () => {
          if (stage.nowMs() > durationMs) return;
          const text = new Text(fresh, system).append(Math.round(stage.random.logNormal(1_500, 1)));
          const outputTokens = Math.max(1, Math.round(stage.random.logNormal(200, 0.7)));
          stage.send({
            tenant,
            session: null,
            promptTokens: text.tokens,
            outputTokens,
            blocks: text.blocks,
            answerBlocks: [],
            noise: isNoise,
          });
          stage.at(stage.nowMs() + stage.random.exponential(mean), arrive);
        };
        stage.at(stage.random.exponential(mean), arrive);
      };
      for (let i = 0; i < tenants; i++) flow(`t${i}`, 1_000 / rps, false);
      if (noise) flow('hog', 100 / rps, true);
    },
  };
}

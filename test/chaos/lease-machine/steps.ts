/** Random days in the life of two Redis servers. */
import fc from 'fast-check';
import type { Machine } from './machine.ts';
import { FATES } from './world.ts';

export interface Step {
  run(machine: Machine): Promise<void> | void;
  /** For the report of a failure. */
  toString(): string;
}

const pick = fc.nat(1000);
const percent = fc.integer({ min: 0, max: 100 });
const amount = fc.bigInt(1n, 60n);
/** Most calls arrive: a world where nothing works shows nothing. */
const fate = fc.oneof(
  { weight: 3, arbitrary: fc.constant('ok' as const) },
  { weight: 2, arbitrary: fc.constantFrom(...FATES) },
);
const fates = fc.array(fate, { minLength: 1, maxLength: 2 });
const rarely = fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });
const action = fc.constantFrom(
  'grant' as const,
  'grant' as const,
  'extend' as const,
  'reclaim' as const,
  'reclaim' as const,
  'close' as const,
  'discard' as const,
);
const timeMs = fc.constantFrom(1_000, 30_000, 600_000, 1_200_000);

/** A step made from random parts; its name shows them. */
function step<T extends unknown[]>(
  name: string,
  parts: fc.Arbitrary<T>,
  run: (machine: Machine, ...values: T) => Promise<void> | void,
): fc.Arbitrary<Step> {
  return parts.map((values) => ({
    run: (machine) => run(machine, ...values),
    toString: () => [name, ...values].join(' '),
  }));
}
const none = fc.constant([] as []);

const STEPS = {
  admit: step('admit', fc.tuple(rarely, amount, fate), (m, wrong, nusd, x) => m.admit(m.side(wrong), nusd, x)),
  retry: step('retry', fc.tuple(rarely, pick, fate), (m, wrong, p, x) => m.retryAdmit(m.side(wrong), p, x)),
  settle: step('settle', fc.tuple(rarely, pick, percent, fate), (m, wrong, p, c, x) =>
    m.settle(m.side(wrong), p, c, x),
  ),
  giveUp: step('giveUp', fc.tuple(rarely, pick, fate), (m, wrong, p, x) => m.giveUp(m.side(wrong), p, x)),
  beat: step('beat', fc.tuple(rarely, fate), (m, wrong, x) => m.heartbeat(m.side(wrong), x)),
  crash: step('crash', fc.tuple(pick, percent), (m, p, c) => m.crash(p, c)),
  reap: step('reap', fc.tuple(fate), (m, x) => m.reap(m.world.active, x)),
  keep: step('keep', fc.tuple(rarely, action, amount, rarely, fates), (m, wrong, kind, nusd, stale, x) =>
    m.keep(m.side(wrong), kind, nusd, stale, x),
  ),
  drain: step('drain', fc.tuple(rarely, fate), (m, wrong, x) => m.drain(m.side(wrong), x)),
  resend: step('resend', fc.tuple(fates), (m, x) => m.resend(m.world.active, x)),
  confirm: step('confirm', fc.tuple(rarely), (m, wrong) => m.readConfirmations(m.side(wrong))),
  deliver: step('deliver', fc.tuple(pick), (m, p) => m.deliver(p)),
  release: step('release', none, (m) => m.release()),
  time: step('time', fc.tuple(timeMs), (m, ms) => m.world.passTime(ms)),
  credit: step('credit', fc.tuple(amount), (m, nusd) => m.ledger.credit(nusd)),
  flush: step('flush', fc.tuple(rarely), (m, wrong) => m.flush(m.side(wrong))),
  delete: step('delete', fc.tuple(rarely, pick), (m, wrong, p) => m.deleteKey(m.side(wrong), p)),
  detach: step('detach', none, (m) => m.world.detach()),
  promote: step('promote', none, (m) => m.world.promote()),
  attach: step('attach', none, (m) => m.world.attach()),
  restart: step('restart', fc.tuple(fc.boolean()), (m, save) => m.world.restart(save)),
  // Chance alone seldom puts these in a row.
  lateCreation: step(
    'lateCreation',
    fc.tuple(amount, fc.constantFrom('delete' as const, 'flush' as const)),
    lateCreation,
  ),
  lateCreationAfterTurns: step('lateCreationAfterTurns', fc.tuple(amount), lateCreationAfterTurns),
  lateBeat: step('lateBeat', fc.tuple(amount), lateBeat),
  forgottenMaster: step('forgottenMaster', fc.tuple(amount), forgottenMaster),
  staleReplica: step('staleReplica', fc.tuple(amount), staleReplica),
  lostOutbox: step('lostOutbox', fc.tuple(fc.boolean()), lostOutbox),
  lateSettle: step('lateSettle', none, lateSettle),
  lateEra: step('lateEra', fc.tuple(amount), lateEra),
};

/** A lease is made and spent from; it is lost; then the call that made it arrives once more. */
async function lateCreation(machine: Machine, nusd: bigint, loss: 'delete' | 'flush'): Promise<void> {
  const side = machine.world.active;
  await machine.loseLease(side);
  machine.ledger.credit(nusd);
  await machine.keep(side, 'grant', nusd, false, ['again_later']);
  await machine.admit(side, nusd, 'ok');
  await (loss === 'delete' ? machine.loseLease(side) : machine.flush(side));
  await machine.deliver('newest');
}

/** The same, lost by two promotions: the server is the one that the call was sent to, its data are not. */
async function lateCreationAfterTurns(machine: Machine, nusd: bigint): Promise<void> {
  const { world } = machine;
  const side = world.active;
  await machine.loseLease(side);
  await world.attach();
  await world.detach();
  machine.ledger.credit(nusd);
  await machine.keep(side, 'grant', nusd, false, ['again_later']);
  await machine.admit(side, nusd, 'ok');
  await world.promote();
  await world.attach();
  await world.promote();
  await machine.deliver('newest');
}

/** A heartbeat arrives when its request has ended and is forgotten; then somebody ends the request again. */
async function lateBeat(machine: Machine, nusd: bigint): Promise<void> {
  const side = machine.world.active;
  await machine.admit(side, nusd, 'ok');
  await machine.heartbeat(side, 'again_later');
  await machine.settle(side, 0, 100, 'ok');
  await machine.giveUp(side, 0, 'ok');
  await machine.loseHolds(side);
  await machine.deliver('newest');
  await machine.resend(side, []);
  await machine.reap(side, 'ok');
}

/** What was spent after the copy was taken is spent again on the copy, if it lets itself be spent. */
async function staleReplica(machine: Machine, nusd: bigint): Promise<void> {
  const { world } = machine;
  machine.ledger.credit(nusd);
  await machine.keep(world.active, 'grant', nusd, false, []);
  await world.attach();
  await world.detach();
  await machine.admit(world.active, nusd, 'ok');
  await world.promote();
  await machine.admit(world.active, nusd, 'ok');
}

/** A record is lost with its outbox; a later one is confirmed, under a larger stream id. */
async function lostOutbox(machine: Machine, flush: boolean): Promise<void> {
  const side = machine.world.active;
  machine.ledger.credit(40n);
  for (const lost of [true, false]) {
    await machine.keep(side, 'grant', 20n, false, []);
    await machine.admit(side, 10n, 'ok');
    await machine.settle(side, 0, 50, 'ok');
    if (lost) await (flush ? machine.flush(side) : machine.loseOutbox(side));
  }
  await machine.drain(side, 'ok');
  await machine.readConfirmations(side);
}

/** The settlement that began an outbox arrives once more when that outbox is lost, with a later record of it. */
async function lateSettle(machine: Machine): Promise<void> {
  const side = machine.world.active;
  machine.ledger.credit(40n);
  await machine.loseLease(side);
  await machine.keep(side, 'grant', 40n, false, []);
  await machine.admit(side, 10n, 'ok');
  await machine.admit(side, 10n, 'ok');
  await machine.loseOutbox(side);
  await machine.settle(side, 0, 50, 'again_later');
  await machine.settle(side, 0, 50, 'ok');
  await machine.flush(side);
  await machine.deliver('newest');
  await machine.drain(side, 'ok');
  await machine.readConfirmations(side);
}

/** The call that began an era arrives once more when all is lost, and after it the call that made a lease in it. */
async function lateEra(machine: Machine, nusd: bigint): Promise<void> {
  const { world } = machine;
  const side = world.active;
  await machine.flush(side);
  machine.ledger.credit(nusd);
  await machine.keep(side, 'grant', nusd, false, ['again_later'], 'again_later');
  await machine.admit(side, nusd, 'ok');
  await machine.flush(side);
  await machine.deliver(Math.max(0, world.delayed.length - 2));
  await machine.deliver('newest');
}

/** A master that was left behind keeps its lease until all the time has passed, and somebody still talks to it. */
async function forgottenMaster(machine: Machine, nusd: bigint): Promise<void> {
  const { world } = machine;
  await world.promote();
  await machine.keep(world.active, 'grant', nusd, false, []);
  await machine.admit(machine.side(true), nusd, 'ok');
  world.passTime(1_200_000);
  await machine.release();
  await machine.admit(machine.side(true), nusd, 'ok');
}

type Weights = Partial<Record<keyof typeof STEPS, number>>;

const ROUTERS: Weights = { admit: 12, retry: 2, settle: 6, giveUp: 3, beat: 4, crash: 1 };
const METERING: Weights = { keep: 12, reap: 3, drain: 2, resend: 1, confirm: 2, credit: 1, release: 2 };

/** What kind of day: everything, data that is lost under a living server, servers that take turns. */
export const DAYS = {
  mixed: {
    ...ROUTERS,
    ...METERING,
    deliver: 5,
    time: 3,
    flush: 1,
    delete: 1,
    detach: 1,
    promote: 2,
    attach: 1,
    restart: 1,
    lateCreation: 1,
    lateCreationAfterTurns: 1,
    lateBeat: 1,
    forgottenMaster: 1,
    staleReplica: 1,
    lostOutbox: 1,
    lateSettle: 1,
    lateEra: 1,
  },
  losses: {
    ...ROUTERS,
    ...METERING,
    resend: 4,
    deliver: 9,
    time: 1,
    flush: 2,
    delete: 6,
    lateCreation: 3,
    lateBeat: 3,
    lostOutbox: 3,
    lateSettle: 3,
    lateEra: 3,
  },
  turns: {
    ...ROUTERS,
    ...METERING,
    deliver: 8,
    time: 1,
    detach: 3,
    promote: 4,
    attach: 4,
    lateCreationAfterTurns: 3,
    forgottenMaster: 3,
    staleReplica: 3,
  },
} satisfies Record<string, Weights>;
export type DayKind = keyof typeof DAYS;

export interface Day {
  kind: DayKind;
  steps: Step[];
}

export const day: fc.Arbitrary<Day> = fc.oneof(
  ...(Object.keys(DAYS) as DayKind[]).map((kind) =>
    fc.record({ kind: fc.constant(kind), steps: fc.array(anyOf(DAYS[kind]), { minLength: 30, maxLength: 80 }) }),
  ),
);

function anyOf(weights: Weights): fc.Arbitrary<Step> {
  const entries = Object.entries(weights) as [keyof typeof STEPS, number][];
  return fc.oneof(...entries.map(([name, weight]) => ({ weight, arbitrary: STEPS[name] })));
}

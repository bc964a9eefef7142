import { describe, expect, test } from '@jest/globals';
import { type Capacity, isFull, learnCapacity, UNKNOWN_CAPACITY } from './capacity.ts';
import { DrainRate } from './drain-rate.ts';

const learn = (capacity: Capacity, running: number, waiting: number, booked = running + waiting) =>
  learnCapacity(capacity, { running, waiting }, booked);

/** Two polls in a row saw requests wait. */
const crowded = (running: number, waiting: number) =>
  learn(learn(UNKNOWN_CAPACITY, running, waiting), running, waiting);

describe('the capacity of a worker', () => {
  test('is unknown until it makes requests wait, then what it ran while they did', () => {
    let capacity = learn(UNKNOWN_CAPACITY, 200, 1);
    expect(isFull(capacity, 10_000)).toBe(false);
    capacity = learn(learn(capacity, 100, 40), 100, 40);
    expect(capacity.limit).toBe(110);
    expect([isFull(capacity, 109), isFull(capacity, 110)]).toEqual([false, true]);
  });

  test('is not learned from one poll: a burst waits for the next step of an engine that is all but idle', () => {
    const burst = learn(UNKNOWN_CAPACITY, 3, 12);
    expect(isFull(burst, 1_000)).toBe(false);
    expect(learn(learn(burst, 15, 0), 3, 12).limit).toBe(Number.POSITIVE_INFINITY);
    // Two in a row: the higher of what they ran.
    expect(learn(burst, 20, 30).limit).toBe(22);
  });

  test('leaves others a share of it', () => {
    const { limit } = crowded(40, 20);
    expect(limit).toBe(44);
    expect([isFull({ ...UNKNOWN_CAPACITY, limit }, 40, 0.9), isFull({ ...UNKNOWN_CAPACITY, limit }, 40)]).toEqual([
      true,
      false,
    ]);
  });

  test('is tried higher only when it holds requests back', () => {
    const learned = crowded(10, 30);
    expect(learned.limit).toBe(12);
    expect(learn(learned, 3, 0).limit).toBe(12);
    let capacity = learned;
    for (let i = 0; i < 5; i++) capacity = learn(capacity, Math.ceil(capacity.limit), 0);
    expect(capacity.limit).toBeGreaterThan(18);
  });

  test('counts what others send there, once two polls have seen it', () => {
    let capacity = crowded(10, 30);
    capacity = learnCapacity({ ...capacity, foreign: 0 }, { running: 12, waiting: 1 }, 2);
    expect(isFull(capacity, 2)).toBe(false);
    capacity = learn(capacity, 12, 1, 2);
    expect(isFull(capacity, 2)).toBe(true);
  });

  test('an idle worker always takes one, and one that reports nothing is never full', () => {
    const tiny = { ...UNKNOWN_CAPACITY, limit: 0, foreign: 50, foreignBefore: 50 };
    expect(isFull(tiny, 0)).toBe(false);
    expect(learnCapacity(tiny, { running: null, waiting: null }, 7)).toEqual(UNKNOWN_CAPACITY);
  });
});

describe('the pace of a line', () => {
  test('is unknown before three have gone, and again when nothing has gone for long', () => {
    const rate = new DrainRate();
    rate.note(0);
    rate.note(100);
    expect(rate.waitMs(5, 200)).toBeNull();
    rate.note(200);
    expect(rate.waitMs(5, 300)).not.toBeNull();
    expect(rate.waitMs(5, 200_000)).toBeNull();
  });

  test.each([10, 100, 1_000])('is what it is: one each %i ms', (everyMs) => {
    const rate = new DrainRate();
    for (let i = 0; i <= 200; i++) rate.note(i * everyMs);
    expect(rate.waitMs(10, 200 * everyMs)! / (10 * everyMs)).toBeGreaterThan(0.8);
    expect(rate.waitMs(10, 200 * everyMs)! / (10 * everyMs)).toBeLessThan(1.2);
  });
});

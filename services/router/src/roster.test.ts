import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Roster, type Seat } from './roster.ts';

test('holds exactly what came and has not left, whatever the order; leaving twice is leaving once', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const) }),
    fc.record({ kind: fc.constant('leave' as const), pick: fc.nat(50) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const roster = new Roster<{ id: number }>();
      const seats: Seat<{ id: number }>[] = [];
      const there = new Set<number>();
      steps.forEach((each, id) => {
        if (each.kind === 'add') {
          seats.push(roster.add({ id }));
          there.add(id);
        } else if (seats.length > 0) {
          const seat = seats[each.pick % seats.length]!;
          if (seat.item !== null) there.delete(seat.item.id);
          seat.leave();
        }
        expect(new Set([...roster].map((item) => item.id))).toEqual(there);
        expect(roster.size).toBe(there.size);
      });
    }),
  );
});

test('who leaves during a walk disturbs nobody else', () => {
  const roster = new Roster<{ id: number }>();
  const seats = [0, 1, 2, 3].map((id) => roster.add({ id }));
  const seen: number[] = [];
  for (const { id } of roster) {
    seen.push(id);
    seats[id]!.leave();
    seats[0]!.leave();
  }
  expect(seen).toEqual([0, 1, 2, 3]);
  expect(roster.size).toBe(0);
});

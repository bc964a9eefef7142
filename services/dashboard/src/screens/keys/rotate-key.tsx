/** Rotation: the new key is shown once, the old one works on for a while, so that nothing stops. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { KeyView, RotatedKey } from '@tollgate/shared/contracts/console/keys';
import { useRef, useState } from 'react';
import { post } from '../../api/client.ts';
import { dateTime } from '../../lib/time.ts';
import { Confirm } from '../../ui/dialog.tsx';
import { SelectField } from '../../ui/field.tsx';
import { messageOf } from '../../ui/parts.tsx';
import { RevealKey } from './reveal.tsx';

const HOUR_MS = 3_600_000;
const OVERLAPS = [
  [24 * HOUR_MS, '24 hours'],
  [7 * 24 * HOUR_MS, '7 days'],
  [HOUR_MS, '1 hour'],
  [0, 'Not at all: it stops now'],
] as const;

export function RotateKey({ target, onClose }: { target: KeyView; onClose(): void }) {
  const client = useQueryClient();
  const [overlapMs, setOverlapMs] = useState<number>(OVERLAPS[0][0]);
  const attempt = useRef(crypto.randomUUID?.() ?? String(Math.random()));
  const rotate = useMutation({
    mutationFn: () =>
      post<RotatedKey>(`/api/keys/${target.keyId}/rotate`, { overlapMs }, { idempotencyKey: attempt.current }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['keys'] }),
  });
  if (rotate.data) {
    const until = rotate.data.oldExpiresAt;
    return (
      <RevealKey
        secret={rotate.data.key}
        title={`The new key of “${target.name}”`}
        note={
          overlapMs === 0 || until === null
            ? 'The old key no longer works.'
            : `The old key works until ${dateTime(until)}. Put the new one in place before.`
        }
        onSaved={onClose}
      />
    );
  }
  return (
    <Confirm
      open
      harmless
      onClose={onClose}
      title={`Rotate “${target.name}”`}
      description="You get a new key with the same limits. The old one goes on working for a while, so that you can change it in place."
      action="Rotate"
      pending={rotate.isPending}
      error={rotate.error ? messageOf(rotate.error) : null}
      onConfirm={() => rotate.mutate()}
    >
      <SelectField
        label="The old key goes on for"
        value={overlapMs}
        onChange={(event) => setOverlapMs(Number(event.target.value))}
      >
        {OVERLAPS.map(([ms, name]) => (
          <option key={ms} value={ms}>
            {name}
          </option>
        ))}
      </SelectField>
    </Confirm>
  );
}

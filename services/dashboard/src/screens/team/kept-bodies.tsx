/** The switch that keeps prompts and answers: off for everybody until an owner or admin turns it on. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { BodyRetentionView } from '@tollgate/shared/contracts/console/bodies';
import { useState } from 'react';
import { get, post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { bytes } from '../../lib/numbers.ts';
import { dateTime } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Checkbox, TextField } from '../../ui/field.tsx';
import { Badge, Card, ErrorNote, fieldError, Loaded } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

const queryKey = (accountId: string) => ['body-retention', accountId];

export function KeptBodies() {
  const { accountId } = useSession();
  const retention = useQuery({
    queryKey: queryKey(accountId),
    queryFn: ({ signal }) => get<BodyRetentionView>(`${account(accountId)}/body-retention`, undefined, signal),
  });
  return (
    <Card
      title="Prompts and answers"
      actions={
        retention.data ? (
          <Badge tone={retention.data.enabled ? 'info' : 'plain'}>
            {retention.data.enabled ? `kept ${retention.data.days} days` : 'not kept'}
          </Badge>
        ) : null
      }
    >
      <Loaded query={retention} skeleton="h-32">
        {(data) => <Form key={`${accountId} ${data.changedAt}`} data={data} />}
      </Loaded>
    </Card>
  );
}

function Form({ data }: { data: BodyRetentionView }) {
  const { accountId, organisation } = useSession();
  const client = useQueryClient();
  const [enabled, setEnabled] = useState(data.enabled);
  const [days, setDays] = useState(String(data.days));
  const [deleteKept, setDeleteKept] = useState(false);
  // By role alone: those who run the installation may not decide it for others.
  const writer = organisation.role === 'owner' || organisation.role === 'admin';
  const save = useMutation({
    mutationFn: () =>
      post<BodyRetentionView>(`${account(accountId)}/body-retention`, {
        enabled,
        days: Number(days),
        ...(deleteKept ? { deleteKept } : {}),
      }),
    onSuccess: (next) => {
      client.setQueryData(queryKey(accountId), next);
      void client.invalidateQueries({ queryKey: ['request', accountId] });
      toast(next.enabled ? 'Kept from now on' : 'Not kept from now on');
    },
  });
  const changed = enabled !== data.enabled || Number(days) !== data.days || deleteKept;
  return (
    <form
      className="flex max-w-xl flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Checkbox
        label="Keep prompts and answers of new requests"
        hint={`Sealed; shown on the request's page to developers and above, each look in the audit log. Of each text ${bytes(data.maxBodyBytes)} at most.`}
        disabled={!writer}
        checked={enabled}
        onChange={(event) => setEnabled(event.target.checked)}
      />
      <TextField
        label="Days"
        className="max-w-48"
        type="number"
        min={1}
        max={data.maxDays}
        required
        disabled={!writer || !enabled}
        hint={`Then they are deleted; ${data.maxDays} at most.`}
        value={days}
        error={fieldError(save.error, 'days')}
        onChange={(event) => setDays(event.target.value)}
      />
      {data.storedBytes > 0 ? (
        <Checkbox
          label={`Delete what was kept until now (${bytes(data.storedBytes)})`}
          disabled={!writer}
          checked={deleteKept}
          onChange={(event) => setDeleteKept(event.target.checked)}
        />
      ) : null}
      {data.changedAt ? (
        <p className="text-xs text-muted">
          Last changed {dateTime(data.changedAt)}. {bytes(data.storedBytes)} of {bytes(data.maxStoredBytes)} in use.
        </p>
      ) : null}
      {save.error ? <ErrorNote error={save.error} /> : null}
      {writer ? (
        <div>
          <Button type="submit" pending={save.isPending} disabled={!changed}>
            Save
          </Button>
        </div>
      ) : null}
    </form>
  );
}

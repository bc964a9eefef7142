import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { OrganisationView } from '@tollgate/shared/contracts/console/organisations';
import { useState } from 'react';
import { get, patch } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { parseUsd, usdExact } from '../../lib/money.ts';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { Card, ErrorNote, Loaded, TextLink } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

/** When the organisation wants to be told. */
export function AlertSettings() {
  const { accountId } = useSession();
  const organisation = useQuery({
    queryKey: ['organisation', accountId],
    queryFn: ({ signal }) => get<OrganisationView>(`${account(accountId)}/organisation`, undefined, signal),
  });
  return (
    <Card title="Alerts">
      <Loaded query={organisation} skeleton="h-32">
        {(data) => <AlertForm key={data.accountId} data={data} />}
      </Loaded>
    </Card>
  );
}

function AlertForm({ data }: { data: OrganisationView }) {
  const { may } = useSession();
  const client = useQueryClient();
  const { balanceLowNusd, keyExpiringDays } = data.alerts;
  const [low, setLow] = useState(balanceLowNusd === null ? '' : usdExact(balanceLowNusd).replace(/[$,]/g, ''));
  const [days, setDays] = useState(keyExpiringDays === null ? '' : String(keyExpiringDays));
  const writer = may('organisation:write');
  const save = useMutation({
    mutationFn: () =>
      patch<OrganisationView>(`${account(data.accountId)}/organisation`, {
        alerts: {
          balanceLowUsd: low.trim() === '' ? null : (parseUsd(low) ?? low),
          keyExpiringDays: days.trim() === '' ? null : Number(days),
        },
      }),
    onSuccess: (next) => {
      client.setQueryData(['organisation', data.accountId], next);
      toast('Alerts saved');
    },
  });
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="When the balance falls below, USD"
          inputMode="decimal"
          placeholder="off"
          disabled={!writer}
          value={low}
          onChange={(event) => setLow(event.target.value)}
        />
        <TextField
          label="Days before a key ends"
          inputMode="numeric"
          placeholder="off"
          disabled={!writer}
          value={days}
          onChange={(event) => setDays(event.target.value)}
        />
      </div>
      <p className="text-xs text-muted">
        Told by e-mail to {data.email ?? 'nobody yet: set an e-mail under Team'}, and to your{' '}
        <TextLink to="/webhooks">webhooks</TextLink>.
      </p>
      {save.error ? <ErrorNote error={save.error} /> : null}
      {writer ? (
        <div>
          <Button type="submit" pending={save.isPending}>
            Save
          </Button>
        </div>
      ) : null}
    </form>
  );
}

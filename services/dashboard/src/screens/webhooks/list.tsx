/** Webhooks of an organisation or of the platform: the same rows, another address. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { CreatedWebhookView, DeliveryView, WebhookView } from '@tollgate/shared/contracts/console/webhooks';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import { patch, post } from '../../api/client.ts';
import { listQuery } from '../../api/queries.ts';
import { relative } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { Checkbox, TextField } from '../../ui/field.tsx';
import { RowMenu } from '../../ui/menu.tsx';
import { Badge, Empty, ErrorNote, Loaded, messageOf } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { toast } from '../../ui/toast.tsx';
import { Reveal } from '../keys/reveal.tsx';
import { Deliveries } from './deliveries.tsx';

const EVENT_TEXT: Record<string, string> = {
  'balance.low': 'The balance falls below your threshold',
  'key.expiring': 'A key is about to end',
  'spend_cap.reached': 'A key has reached its cap',
  'topup.succeeded': 'Credit was added',
  'worker.down': 'A worker went away',
};

interface Props {
  base: string;
  events: readonly string[];
  writer: boolean;
}

export function WebhookList({ base, events, writer }: Props) {
  const client = useQueryClient();
  const hooks = useQuery(listQuery<WebhookView>(base));
  const [open, setOpen] = useState(false);
  const [shown, setShown] = useState<WebhookView | null>(null);
  const [removing, setRemoving] = useState<WebhookView | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const after = () => client.invalidateQueries({ queryKey: ['list', base] });
  const act = useMutation({
    mutationFn: async ({ hook, what }: { hook: WebhookView; what: 'toggle' | 'remove' | 'rotate' | 'test' }) => {
      const path = `${base}/${hook.webhookId}`;
      if (what === 'toggle') await patch(path, { enabled: !hook.enabled });
      else if (what === 'remove') await post(`${path}/remove`);
      else if (what === 'rotate') setSecret((await post<CreatedWebhookView>(`${path}/rotate-secret`)).secret);
      else {
        await post<DeliveryView>(`${path}/test`);
        setShown(hook);
        toast('A test event is on its way');
      }
    },
    onSuccess: () => {
      setRemoving(null);
      void after();
    },
  });
  return (
    <>
      {writer ? (
        <div>
          <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setOpen(true)}>
            Add webhook
          </Button>
        </div>
      ) : null}
      {act.error && !removing ? <ErrorNote error={act.error} /> : null}
      <Loaded query={hooks} skeleton="h-40">
        {(rows) => (
          <Table
            caption="Webhooks"
            rows={rows}
            rowKey={(hook) => hook.webhookId}
            copyId={(hook) => hook.webhookId}
            empty={<Empty title="No webhooks">Add the address of a server of yours that should be told.</Empty>}
            columns={[
              {
                id: 'url',
                header: 'Address',
                cell: (hook) => (
                  <button
                    type="button"
                    data-row-main
                    className="tap-touch text-left font-medium break-all hover:underline"
                    onClick={() => setShown(shown?.webhookId === hook.webhookId ? null : hook)}
                  >
                    {hook.url}
                  </button>
                ),
              },
              {
                id: 'events',
                header: 'Events',
                from: 'md',
                cell: (hook) => <span className="text-muted">{hook.events.join(', ')}</span>,
              },
              {
                id: 'state',
                header: 'State',
                cell: (hook) =>
                  !hook.enabled ? (
                    <Badge>paused</Badge>
                  ) : hook.lastDelivery ? (
                    <Badge tone={hook.lastDelivery.ok ? 'ok' : 'bad'}>
                      {hook.lastDelivery.ok ? 'delivered' : `failed ${hook.lastDelivery.status ?? ''}`}{' '}
                      {relative(hook.lastDelivery.at, Date.now())}
                    </Badge>
                  ) : (
                    <Badge tone="info">nothing sent yet</Badge>
                  ),
              },
              {
                id: 'act',
                header: <span className="sr-only">Actions</span>,
                numeric: true,
                cell: (hook) =>
                  writer ? (
                    <RowMenu
                      label={`Actions for ${hook.url}`}
                      actions={[
                        { label: 'Send a test event', onSelect: () => act.mutate({ hook, what: 'test' }) },
                        {
                          label: hook.enabled ? 'Pause' : 'Go on',
                          onSelect: () => act.mutate({ hook, what: 'toggle' }),
                        },
                        { label: 'New secret', onSelect: () => act.mutate({ hook, what: 'rotate' }) },
                        { label: 'Remove', danger: true, onSelect: () => setRemoving(hook) },
                      ]}
                    />
                  ) : null,
              },
            ]}
          />
        )}
      </Loaded>
      {shown ? <Deliveries base={base} hook={shown} writer={writer} /> : null}
      {open ? (
        <AddWebhook
          base={base}
          events={events}
          onClose={() => setOpen(false)}
          onMade={(made) => {
            setOpen(false);
            setSecret(made.secret);
            void after();
          }}
        />
      ) : null}
      {secret ? (
        <Reveal
          title="Signing secret"
          note="Check the webhook-signature header with it (Standard Webhooks). An old secret goes on signing for 24 hours."
          lines={[{ label: 'Secret', text: secret }]}
          onSaved={() => setSecret(null)}
        />
      ) : null}
      {removing ? (
        <Confirm
          open
          onClose={() => setRemoving(null)}
          title="Remove this webhook?"
          description={removing.url}
          action="Remove"
          pending={act.isPending}
          error={act.error ? messageOf(act.error) : null}
          onConfirm={() => act.mutate({ hook: removing, what: 'remove' })}
        />
      ) : null}
    </>
  );
}

interface AddProps {
  base: string;
  events: readonly string[];
  onClose(): void;
  onMade(made: CreatedWebhookView): void;
}

function AddWebhook({ base, events, onClose, onMade }: AddProps) {
  const [url, setUrl] = useState('');
  const [chosen, setChosen] = useState<readonly string[]>(events);
  const create = useMutation({
    mutationFn: () => post<CreatedWebhookView>(base, { url: url.trim(), events: chosen }),
    onSuccess: onMade,
  });
  return (
    <Confirm
      open
      harmless
      onClose={onClose}
      title="Add a webhook"
      description="It gets a POST with JSON for each event. Answer with a 2xx within a few seconds; failures are tried again."
      action="Add"
      pending={create.isPending}
      error={create.error ? messageOf(create.error) : null}
      onConfirm={() => create.mutate()}
    >
      <TextField
        label="Address"
        type="url"
        required
        placeholder="https://example.com/hooks/tollgate"
        value={url}
        onChange={(event) => setUrl(event.target.value)}
      />
      <fieldset>
        <legend className="text-sm font-medium">Events</legend>
        {events.map((name) => (
          <Checkbox
            key={name}
            label={<code>{name}</code>}
            hint={EVENT_TEXT[name]}
            checked={chosen.includes(name)}
            onChange={(event) =>
              setChosen(event.target.checked ? [...chosen, name] : chosen.filter((item) => item !== name))
            }
          />
        ))}
      </fieldset>
    </Confirm>
  );
}

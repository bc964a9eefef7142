import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { DeliveryView, WebhookView } from '@tollgate/shared/contracts/console/webhooks';
import { post } from '../../api/client.ts';
import { listQuery } from '../../api/queries.ts';
import { dateTime, duration, relative } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Badge, Empty, ErrorNote, Loaded } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';

const TONES = { pending: 'info', delivered: 'ok', failed: 'bad' } as const;

/** What was sent to one address, and what it answered. */
export function Deliveries({ base, hook, writer }: { base: string; hook: WebhookView; writer: boolean }) {
  const client = useQueryClient();
  const path = `${base}/${hook.webhookId}/deliveries`;
  const deliveries = useQuery({ ...listQuery<DeliveryView>(path), refetchInterval: 3_000 });
  const again = useMutation({
    mutationFn: (id: string) => post<DeliveryView>(`${path}/${id}/redeliver`),
    onSuccess: () => client.invalidateQueries({ queryKey: ['list', path] }),
  });
  return (
    <section className="flex flex-col gap-3" aria-labelledby="deliveries">
      <h2 id="deliveries" className="text-lg font-semibold">
        Deliveries to <span className="break-all">{hook.url}</span>
      </h2>
      {again.error ? <ErrorNote error={again.error} /> : null}
      <Loaded query={deliveries}>
        {(rows) => (
          <Table
            caption="Deliveries, newest first"
            rows={rows}
            rowKey={(delivery) => delivery.deliveryId}
            copyId={(delivery) => delivery.deliveryId}
            empty={<Empty title="Nothing sent yet">Send a test event from the row's menu.</Empty>}
            columns={[
              {
                id: 'at',
                header: 'Time',
                cell: (delivery) => <span className="num whitespace-nowrap">{dateTime(delivery.createdAt)}</span>,
              },
              { id: 'event', header: 'Event', cell: (delivery) => <code>{delivery.event}</code> },
              {
                id: 'state',
                header: 'State',
                cell: (delivery) => (
                  <>
                    <Badge tone={TONES[delivery.state]}>{delivery.state}</Badge>
                    {delivery.nextAttemptAt ? (
                      <span className="block text-xs text-muted">
                        again {relative(delivery.nextAttemptAt, Date.now())}
                      </span>
                    ) : null}
                  </>
                ),
              },
              {
                id: 'answer',
                header: 'Answer',
                from: 'sm',
                cell: (delivery) =>
                  delivery.error ??
                  (delivery.status === null ? '–' : `${delivery.status} in ${duration(delivery.durationMs)}`),
              },
              { id: 'attempts', header: 'Attempts', numeric: true, from: 'md', cell: (delivery) => delivery.attempts },
              {
                id: 'again',
                header: <span className="sr-only">Send again</span>,
                numeric: true,
                cell: (delivery) =>
                  writer ? (
                    <Button look="ghost" onClick={() => again.mutate(delivery.deliveryId)}>
                      Send again
                    </Button>
                  ) : null,
              },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}

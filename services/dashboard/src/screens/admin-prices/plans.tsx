import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { PlanView } from '@tollgate/shared/contracts/console/platform';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { listQuery } from '../../api/queries.ts';
import { count } from '../../lib/numbers.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { TextField } from '../../ui/field.tsx';
import { Empty, Loaded, messageOf } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { toast } from '../../ui/toast.tsx';

const limit = (value: number | null) => (value === null ? 'no limit' : count(value));

/** Plans: the limits that an account gets with them, and its share of the queue. */
export function Plans() {
  const plans = useQuery(listQuery<PlanView>('/api/plans'));
  const [editing, setEditing] = useState<PlanView | 'new' | null>(null);
  return (
    <section className="flex flex-col gap-3" aria-labelledby="plans">
      <header className="flex items-center justify-between gap-3">
        <h2 id="plans" className="text-lg font-semibold">
          Plans
        </h2>
        <Button onClick={() => setEditing('new')}>Add plan</Button>
      </header>
      <Loaded query={plans}>
        {(rows) => (
          <Table
            caption="Plans"
            rows={rows}
            rowKey={(plan) => plan.planId}
            copyId={(plan) => plan.planId}
            empty={<Empty title="No plans yet">Without one, an account has only the limits set on itself.</Empty>}
            columns={[
              { id: 'name', header: 'Plan', cell: (plan) => <span className="font-medium">{plan.name}</span> },
              { id: 'rpm', header: 'Requests / min', numeric: true, cell: (plan) => limit(plan.limits.rpm) },
              { id: 'tpm', header: 'Tokens / min', numeric: true, from: 'sm', cell: (plan) => limit(plan.limits.tpm) },
              {
                id: 'concurrency',
                header: 'At the same time',
                numeric: true,
                from: 'md',
                cell: (plan) => limit(plan.limits.concurrency),
              },
              { id: 'weight', header: 'Queue share', numeric: true, from: 'md', cell: (plan) => plan.weight },
              { id: 'accounts', header: 'Accounts', numeric: true, from: 'sm', cell: (plan) => count(plan.accounts) },
              {
                id: 'edit',
                header: <span className="sr-only">Change</span>,
                numeric: true,
                cell: (plan) => (
                  <Button look="ghost" onClick={() => setEditing(plan)}>
                    Change
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      {editing ? <PlanDialog plan={editing === 'new' ? null : editing} onClose={() => setEditing(null)} /> : null}
    </section>
  );
}

const text = (value: number | null | undefined) => (value === null || value === undefined ? '' : String(value));
const whole = (typed: string) => (typed.trim() === '' ? null : Number(typed));

function PlanDialog({ plan, onClose }: { plan: PlanView | null; onClose(): void }) {
  const client = useQueryClient();
  const [form, setForm] = useState({
    planId: plan?.planId ?? '',
    name: plan?.name ?? '',
    weight: text(plan?.weight ?? 1),
    rpm: text(plan?.limits.rpm),
    tpm: text(plan?.limits.tpm),
    concurrency: text(plan?.limits.concurrency),
  });
  const save = useMutation({
    mutationFn: () =>
      post<PlanView>('/api/plans', {
        planId: form.planId.trim(),
        name: form.name.trim(),
        weight: Number(form.weight),
        limits: { rpm: whole(form.rpm), tpm: whole(form.tpm), concurrency: whole(form.concurrency) },
      }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['list', '/api/plans'] });
      toast('Plan saved');
      onClose();
    },
  });
  const field = (name: keyof typeof form, label: string, rest: object = {}) => (
    <TextField
      label={label}
      value={form[name]}
      onChange={(event) => setForm({ ...form, [name]: event.target.value })}
      {...rest}
    />
  );
  return (
    <Confirm
      open
      harmless
      onClose={onClose}
      title={plan ? `Change “${plan.name}”` : 'Add a plan'}
      description="Empty limits are none."
      action="Save"
      pending={save.isPending}
      error={save.error ? messageOf(save.error) : null}
      onConfirm={() => save.mutate()}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        {field('planId', 'Id', { required: true, disabled: plan !== null, pattern: '[a-z0-9][a-z0-9_\\-]{0,39}' })}
        {field('name', 'Name', { required: true })}
        {field('rpm', 'Requests per minute', { inputMode: 'numeric' })}
        {field('tpm', 'Tokens per minute', { inputMode: 'numeric' })}
        {field('concurrency', 'At the same time', { inputMode: 'numeric' })}
        {field('weight', 'Share of the queue', { inputMode: 'numeric', required: true })}
      </div>
    </Confirm>
  );
}

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { PlanView, SettingsView } from '@tollgate/shared/contracts/console/platform';
import { useState } from 'react';
import { get, patch } from '../../api/client.ts';
import { listQuery } from '../../api/queries.ts';
import { usdExact } from '../../lib/money.ts';
import { Button } from '../../ui/button.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { Card, ErrorNote, Facts, Loaded, PageBody } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

export default function SettingsPage() {
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: ({ signal }) => get<SettingsView>('/api/settings', undefined, signal),
  });
  return (
    <PageBody title="Settings" lead="Of this installation.">
      <Loaded query={settings} skeleton="h-64">
        {(data) => (
          <>
            <SettingsForm data={data} />
            <Card title="Set by the environment">
              <Facts
                columns={3}
                items={[
                  ['Payment by card', data.card ? 'on' : 'off'],
                  ['Sign-in providers', data.oidc.join(', ') || 'none'],
                  ['Mail', data.mail === 'log' ? 'written to the log only' : 'sent'],
                ]}
              />
            </Card>
          </>
        )}
      </Loaded>
    </PageBody>
  );
}

function SettingsForm({ data }: { data: SettingsView }) {
  const client = useQueryClient();
  const plans = useQuery(listQuery<PlanView>('/api/plans')).data ?? [];
  const [form, setForm] = useState({
    signUp: data.signUp,
    credit: usdExact(data.signUpCreditNusd).replace(/[$,]/g, ''),
    plan: data.signUpPlan,
    months: String(data.requestLogMonths),
  });
  const save = useMutation({
    mutationFn: () =>
      patch<SettingsView>('/api/settings', {
        signUp: form.signUp,
        signUpCreditUsd: form.credit.trim(),
        signUpPlan: form.plan,
        requestLogMonths: Number(form.months),
      }),
    onSuccess: (next) => {
      client.setQueryData(['settings'], next);
      void client.invalidateQueries({ queryKey: ['sign-in-options'] });
      toast('Settings saved');
    },
  });
  return (
    <Card title="Sign-up and retention">
      <form
        className="flex max-w-xl flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <SelectField
          label="Who may register an organisation"
          value={form.signUp}
          onChange={(event) => setForm({ ...form, signUp: event.target.value as SettingsView['signUp'] })}
        >
          <option value="invite">Only who is invited</option>
          <option value="open">Anybody</option>
        </SelectField>
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField
            label="Credit at sign-up, USD"
            inputMode="decimal"
            value={form.credit}
            onChange={(event) => setForm({ ...form, credit: event.target.value })}
          />
          <SelectField
            label="Plan at sign-up"
            value={form.plan}
            onChange={(event) => setForm({ ...form, plan: event.target.value })}
          >
            {plans.some(({ planId }) => planId === form.plan) ? null : <option>{form.plan}</option>}
            {plans.map(({ planId, name }) => (
              <option key={planId} value={planId}>
                {name}
              </option>
            ))}
          </SelectField>
          <TextField
            label="Request log, months kept"
            inputMode="numeric"
            hint="Besides the present one. Older months are dropped whole; the ledger stays."
            value={form.months}
            onChange={(event) => setForm({ ...form, months: event.target.value })}
          />
        </div>
        {save.error ? <ErrorNote error={save.error} /> : null}
        <div>
          <Button look="primary" type="submit" pending={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Card>
  );
}

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { CreatedCodeView, RedemptionCodeView } from '@tollgate/shared/contracts/console/topup';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { listQuery } from '../../api/queries.ts';
import { usd } from '../../lib/money.ts';
import { dateOnly } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { TextField } from '../../ui/field.tsx';
import { Badge, Empty, Loaded, messageOf, PageBody } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { Reveal } from '../keys/reveal.tsx';

const PATH = '/api/redemption-codes';
const NEW_CODE = { usd: '10', uses: '1', ends: '', note: '' };

const STATE_TONE = { open: 'ok', 'used up': 'plain', ended: 'plain', disabled: 'bad' } as const;

function stateOf({ disabledAt, used, uses, expiresAt }: RedemptionCodeView, nowMs: number): keyof typeof STATE_TONE {
  if (disabledAt) return 'disabled';
  if (used >= uses) return 'used up';
  return expiresAt !== null && Date.parse(expiresAt) <= nowMs ? 'ended' : 'open';
}

export default function CodesPage() {
  const client = useQueryClient();
  const codes = useQuery(listQuery<RedemptionCodeView>(PATH));
  const [open, setOpen] = useState(false);
  const [form, setForm] = useState(NEW_CODE);
  const [withdrawing, setWithdrawing] = useState<RedemptionCodeView | null>(null);
  const after = () => client.invalidateQueries({ queryKey: ['list', PATH] });
  const create = useMutation({
    mutationFn: () =>
      post<CreatedCodeView>(PATH, {
        usd: form.usd.trim(),
        uses: Number(form.uses),
        ...(form.ends === '' ? {} : { expiresAt: new Date(`${form.ends}T23:59:59Z`).toISOString() }),
        ...(form.note.trim() === '' ? {} : { note: form.note.trim() }),
      }),
    onSuccess: () => {
      setOpen(false);
      setForm(NEW_CODE);
      void after();
    },
  });
  const disable = useMutation({
    mutationFn: (id: string) => post(`${PATH}/${id}/disable`),
    onSuccess: () => {
      setWithdrawing(null);
      void after();
    },
  });
  return (
    <PageBody
      title="Redemption codes"
      lead="Credit to hand out: each organisation can redeem a code once."
      actions={
        <Button look="primary" onClick={() => setOpen(true)}>
          Make a code
        </Button>
      }
    >
      <Loaded query={codes} skeleton="h-48">
        {(rows) => (
          <Table
            caption="Redemption codes, newest first"
            rows={rows}
            rowKey={(code) => code.codeId}
            copyId={(code) => code.codeId}
            empty={<Empty title="No codes yet">Make one for a trial, a workshop or a refund without a card.</Empty>}
            columns={[
              { id: 'code', header: 'Code', cell: (code) => <code>…{code.last4}</code> },
              { id: 'amount', header: 'Credit', numeric: true, cell: (code) => usd(code.amountNusd) },
              { id: 'used', header: 'Used', numeric: true, cell: (code) => `${code.used} of ${code.uses}` },
              { id: 'note', header: 'Note', from: 'sm', cell: (code) => code.note ?? '–' },
              {
                id: 'ends',
                header: 'Ends',
                from: 'md',
                cell: (code) => (code.expiresAt ? dateOnly(code.expiresAt) : 'never'),
              },
              {
                id: 'state',
                header: 'State',
                cell: (code) => <Badge tone={STATE_TONE[stateOf(code, Date.now())]}>{stateOf(code, Date.now())}</Badge>,
              },
              {
                id: 'act',
                header: <span className="sr-only">Disable</span>,
                numeric: true,
                cell: (code) =>
                  stateOf(code, Date.now()) !== 'open' ? null : (
                    <Button look="ghost" onClick={() => setWithdrawing(code)}>
                      Disable
                    </Button>
                  ),
              },
            ]}
          />
        )}
      </Loaded>
      {open ? (
        <Confirm
          open
          harmless
          onClose={() => setOpen(false)}
          title="Make a redemption code"
          description="It is shown once. Whoever has it can redeem it."
          action="Make it"
          pending={create.isPending}
          error={create.error ? messageOf(create.error) : null}
          onConfirm={() => create.mutate()}
        >
          <TextField
            label="Credit, USD"
            inputMode="decimal"
            required
            value={form.usd}
            onChange={(event) => setForm({ ...form, usd: event.target.value })}
          />
          <TextField
            label="How many organisations may use it"
            inputMode="numeric"
            required
            value={form.uses}
            onChange={(event) => setForm({ ...form, uses: event.target.value })}
          />
          <TextField
            label="Last day"
            type="date"
            hint="UTC. Empty: it does not end."
            value={form.ends}
            onChange={(event) => setForm({ ...form, ends: event.target.value })}
          />
          <TextField
            label="Note"
            maxLength={200}
            value={form.note}
            onChange={(event) => setForm({ ...form, note: event.target.value })}
          />
        </Confirm>
      ) : null}
      {withdrawing ? (
        <Confirm
          open
          onClose={() => {
            disable.reset();
            setWithdrawing(null);
          }}
          title={`Disable the code …${withdrawing.last4}?`}
          description="Nobody can redeem it from then on. What was redeemed stays."
          action="Disable it"
          pending={disable.isPending}
          error={disable.error ? messageOf(disable.error) : null}
          onConfirm={() => disable.mutate(withdrawing.codeId)}
        />
      ) : null}
      {create.data ? (
        <Reveal
          title="The new code"
          lines={[{ label: 'Code', text: create.data.code }]}
          onSaved={() => create.reset()}
        />
      ) : null}
    </PageBody>
  );
}

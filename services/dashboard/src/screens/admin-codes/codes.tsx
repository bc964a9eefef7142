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
import { Badge, Empty, ErrorNote, Loaded, messageOf, PageBody } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { Reveal } from '../keys/reveal.tsx';

const PATH = '/api/redemption-codes';

export default function CodesPage() {
  const client = useQueryClient();
  const codes = useQuery(listQuery<RedemptionCodeView>(PATH));
  const [open, setOpen] = useState(false);
  const [form, setForm] = useState({ usd: '10', uses: '1', note: '' });
  const after = () => client.invalidateQueries({ queryKey: ['list', PATH] });
  const create = useMutation({
    mutationFn: () =>
      post<CreatedCodeView>(PATH, {
        usd: form.usd.trim(),
        uses: Number(form.uses),
        ...(form.note.trim() === '' ? {} : { note: form.note.trim() }),
      }),
    onSuccess: () => {
      setOpen(false);
      void after();
    },
  });
  const disable = useMutation({ mutationFn: (id: string) => post(`${PATH}/${id}/disable`), onSuccess: after });
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
      {disable.error ? <ErrorNote error={disable.error} /> : null}
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
                cell: (code) => (
                  <Badge tone={code.disabledAt ? 'bad' : code.used >= code.uses ? 'plain' : 'ok'}>
                    {code.disabledAt ? 'disabled' : code.used >= code.uses ? 'used up' : 'open'}
                  </Badge>
                ),
              },
              {
                id: 'act',
                header: <span className="sr-only">Disable</span>,
                numeric: true,
                cell: (code) =>
                  code.disabledAt || code.used >= code.uses ? null : (
                    <Button look="ghost" onClick={() => disable.mutate(code.codeId)}>
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
            label="Note"
            value={form.note}
            onChange={(event) => setForm({ ...form, note: event.target.value })}
          />
        </Confirm>
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

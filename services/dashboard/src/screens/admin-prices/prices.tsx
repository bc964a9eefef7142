import { useQuery } from '@tanstack/react-query';
import type { ModelView } from '@tollgate/shared/contracts/console/models';
import { useState } from 'react';
import { modelsQuery } from '../../api/queries.ts';
import { usd } from '../../lib/money.ts';
import { count } from '../../lib/numbers.ts';
import { dateTime } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { RowMenu } from '../../ui/menu.tsx';
import { Badge, Empty, Loaded, PageBody } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';
import { AddModel, ChangePrice, EditModel } from './model-dialogs.tsx';
import { Plans } from './plans.tsx';

type Doing = { what: 'add' } | { what: 'price' | 'edit'; model: ModelView } | null;

export default function PricesPage() {
  const models = useQuery(modelsQuery);
  const [doing, setDoing] = useState<Doing>(null);
  const close = () => setDoing(null);
  return (
    <PageBody
      title="Prices and plans"
      lead="A price is never changed, only followed by another. Requests that were admitted before keep theirs."
      actions={
        <Button look="primary" onClick={() => setDoing({ what: 'add' })}>
          Sell a model
        </Button>
      }
    >
      <Loaded query={models} skeleton="h-48">
        {(rows) => (
          <Table
            caption="Models on sale; dollars per million tokens"
            rows={rows}
            rowKey={(model) => model.id}
            copyId={(model) => model.id}
            empty={
              <Empty title="Nothing is on sale">Until a model has a price, requests for it are answered 404.</Empty>
            }
            columns={[
              { id: 'id', header: 'Model', cell: (model) => <code className="font-medium break-all">{model.id}</code> },
              {
                id: 'state',
                header: 'State',
                cell: (model) => (
                  <Badge tone={model.enabled ? 'ok' : 'plain'}>{model.enabled ? 'on sale' : 'off'}</Badge>
                ),
              },
              { id: 'in', header: 'Prompt', numeric: true, cell: (model) => usd(model.price?.inputNusd) },
              {
                id: 'cached',
                header: 'Cached',
                numeric: true,
                from: 'sm',
                cell: (model) => usd(model.price?.cachedInputNusd),
              },
              { id: 'out', header: 'Answer', numeric: true, cell: (model) => usd(model.price?.outputNusd) },
              {
                id: 'context',
                header: 'Context',
                numeric: true,
                from: 'md',
                cell: (model) => count(model.maxModelLen),
              },
              {
                id: 'since',
                header: 'Price since',
                numeric: true,
                from: 'lg',
                cell: (model) => (model.price ? dateTime(model.price.validFrom) : '–'),
              },
              {
                id: 'act',
                header: <span className="sr-only">Actions</span>,
                numeric: true,
                cell: (model) => (
                  <RowMenu
                    label={`Actions for ${model.id}`}
                    actions={[
                      { label: 'New price', onSelect: () => setDoing({ what: 'price', model }) },
                      { label: 'Settings', onSelect: () => setDoing({ what: 'edit', model }) },
                    ]}
                  />
                ),
              },
            ]}
          />
        )}
      </Loaded>
      <Plans />
      {doing?.what === 'add' ? <AddModel onClose={close} /> : null}
      {doing?.what === 'price' ? <ChangePrice model={doing.model} onClose={close} /> : null}
      {doing?.what === 'edit' ? <EditModel model={doing.model} onClose={close} /> : null}
    </PageBody>
  );
}

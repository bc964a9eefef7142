import { useQuery } from '@tanstack/react-query';
import type { StatusView } from '@tollgate/shared/contracts/console/insights';
import type { ModelView } from '@tollgate/shared/contracts/console/models';
import { modelsQuery, statusQuery } from '../../api/queries.ts';
import { usd } from '../../lib/money.ts';
import { count, percent } from '../../lib/numbers.ts';
import { duration } from '../../lib/time.ts';
import { ButtonLink } from '../../ui/button.tsx';
import { CopyButton } from '../../ui/copy.tsx';
import { Badge, Empty, Loaded, PageBody } from '../../ui/parts.tsx';
import { type Column, Table } from '../../ui/table.tsx';

type Live = StatusView['models'][number];

export const MODEL_STATE: Record<Live['state'], { name: string; tone: 'ok' | 'warn' | 'bad' | 'plain' }> = {
  operational: { name: 'Up', tone: 'ok' },
  degraded: { name: 'Slow or failing', tone: 'warn' },
  down: { name: 'Down', tone: 'bad' },
  unknown: { name: 'Not known', tone: 'plain' },
};

export default function ModelsPage() {
  const models = useQuery(modelsQuery);
  const status = useQuery(statusQuery);
  const live = new Map((status.data?.models ?? []).map((model) => [model.id, model]));
  return (
    <PageBody
      title="Models and prices"
      lead="Dollars per million tokens. Speed is what requests here met in the last 24 hours."
    >
      <Loaded query={models} skeleton="h-64">
        {(list) => (
          <Table
            caption="Models and prices"
            columns={columns(live)}
            rows={list.filter(({ enabled }) => enabled)}
            rowKey={(model) => model.id}
            copyId={(model) => model.id}
            empty={
              <Empty title="No model is on sale">The operator of this installation adds models and their prices.</Empty>
            }
          />
        )}
      </Loaded>
    </PageBody>
  );
}

const price = (model: ModelView, part: 'inputNusd' | 'cachedInputNusd' | 'outputNusd') =>
  model.price ? usd(model.price[part]) : '–';

function columns(live: ReadonlyMap<string, Live>): Column<ModelView>[] {
  return [
    {
      id: 'id',
      header: 'Model',
      cell: (model) => (
        <span className="inline-flex items-center">
          <code className="font-medium break-all">{model.id}</code>
          <CopyButton text={model.id} label={`Copy ${model.id}`} />
        </span>
      ),
    },
    {
      id: 'state',
      header: 'State',
      cell: (model) => {
        const { name, tone } = MODEL_STATE[live.get(model.id)?.state ?? 'unknown'];
        return <Badge tone={tone}>{name}</Badge>;
      },
    },
    { id: 'context', header: 'Context', numeric: true, from: 'md', cell: (model) => count(model.maxModelLen) },
    { id: 'in', header: 'Prompt', numeric: true, cell: (model) => price(model, 'inputNusd') },
    {
      id: 'cached',
      header: 'Cached prompt',
      numeric: true,
      from: 'sm',
      cell: (model) => price(model, 'cachedInputNusd'),
    },
    { id: 'out', header: 'Answer', numeric: true, cell: (model) => price(model, 'outputNusd') },
    {
      id: 'ttft',
      header: 'First token, median',
      numeric: true,
      from: 'lg',
      cell: (model) => duration(live.get(model.id)?.firstTokenP50Ms),
    },
    {
      id: 'speed',
      header: 'Tokens/s',
      numeric: true,
      from: 'lg',
      cell: (model) => live.get(model.id)?.tokensPerSecond?.toFixed(0) ?? '–',
    },
    {
      id: 'uptime',
      header: 'Up, 30 days',
      numeric: true,
      from: 'lg',
      cell: (model) => percent(live.get(model.id)?.uptime30d, 2),
    },
    {
      id: 'try',
      header: <span className="sr-only">Try</span>,
      numeric: true,
      from: 'sm',
      cell: (model) => (
        <ButtonLink to="/playground" search={{ model: model.id }} data-row-main>
          Try
        </ButtonLink>
      ),
    },
  ];
}

/** Why this worker: every candidate with the terms of its predicted cost, cheapest first. For operators. */
import type { ReactNode } from 'react';
import { type Candidate, type Explanation, seconds } from '../lib/explanation.ts';
import { count } from '../lib/numbers.ts';
import { Badge } from './parts.tsx';
import { Table } from './table.tsx';

export function ExplanationTable({ explanation }: { explanation: Explanation }) {
  const { policy, chosen, of, candidates } = explanation;
  const term = (name: 'queueMs' | 'prefillMs') => (row: Candidate) => seconds(row.terms?.[name] ?? null);
  const head = (name: string, title: string): ReactNode => <span title={title}>{name}</span>;
  return (
    <div className="flex flex-col gap-2">
      <Table
        scrolls
        caption="Candidates and their predicted cost"
        rows={candidates}
        rowKey={(row) => row.worker}
        copyId={(row) => row.worker}
        columns={[
          {
            id: 'worker',
            header: 'Worker',
            cell: (row) => (
              <span className="inline-flex items-center gap-2">
                <code>{row.worker.replace(/^https?:\/\//, '')}</code>
                {row.worker === chosen ? <Badge tone="ok">chosen</Badge> : null}
              </span>
            ),
          },
          {
            id: 'cost',
            header: head('Cost', '(queue + prefill) × factor'),
            numeric: true,
            cell: (row) => <strong>{seconds(row.costMs)}</strong>,
          },
          {
            id: 'queue',
            header: head('Queue', 'Prefill that waits there already'),
            numeric: true,
            cell: term('queueMs'),
          },
          {
            id: 'prefill',
            header: head('Prefill', 'What the worker does not hold of this prompt'),
            numeric: true,
            cell: term('prefillMs'),
          },
          {
            id: 'factor',
            header: head('Factor', 'Above 1: slow, failing or just started'),
            numeric: true,
            cell: (row) => (row.terms ? `× ${row.terms.factor.toFixed(2)}` : '–'),
          },
          {
            id: 'hit',
            header: head('Cached', 'Tokens of the prompt that it is believed to hold'),
            numeric: true,
            from: 'sm',
            cell: (row) => count(row.hitTokens),
          },
          { id: 'running', header: 'Running', numeric: true, from: 'sm', cell: (row) => count(row.running) },
        ]}
      />
      <p className="text-xs text-muted">
        Policy <code>{policy}</code>, {count(of)} compared
        {of > candidates.length ? `, the best ${count(candidates.length)} shown` : ''}. Costs within 2 % count as equal:
        then the worker with the fewest running decodes is taken.
      </p>
    </div>
  );
}

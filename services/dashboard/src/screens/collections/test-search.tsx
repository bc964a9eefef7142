/** Asks a collection as a request would, without a model: which passages come, how well they fit, and what they say. */
import { useMutation } from '@tanstack/react-query';
import type { PassagesView, SearchCollection } from '@tollgate/shared/contracts/console/collections';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { count, plural } from '../../lib/numbers.ts';
import { queryText } from '../../lib/search.ts';
import { duration } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { Bar, Card, Empty, ErrorNote } from '../../ui/parts.tsx';

type Mode = NonNullable<SearchCollection['mode']>;
const MODES: readonly { value: Mode; label: string }[] = [
  { value: 'hybrid', label: 'Meaning and words' },
  { value: 'vector', label: 'Meaning (vector)' },
  { value: 'text', label: 'Words (text)' },
];

export function ModeField({ value, onPick, className }: { value: Mode; onPick(mode: Mode): void; className?: string }) {
  return (
    <SelectField
      label="Compare"
      className={className}
      value={value}
      onChange={(event) => onPick(event.target.value as Mode)}
    >
      {MODES.map(({ value: mode, label }) => (
        <option key={mode} value={mode}>
          {label}
        </option>
      ))}
    </SelectField>
  );
}

export function TestSearch({ collectionId, project }: { collectionId: string; project: string | undefined }) {
  const { accountId } = useSession();
  const [query, setQuery] = useState('');
  const [mode, setMode] = useState<Mode>('hybrid');
  const [topK, setTopK] = useState('5');
  const path = `${account(accountId)}/collections/${collectionId}/search${queryText({ projectId: project })}`;
  const search = useMutation({
    mutationFn: () => post<PassagesView>(path, { query: query.trim(), mode, topK: Number(topK) }),
  });
  return (
    <Card title="Try the search">
      <form
        className="grid items-end gap-3 sm:grid-cols-[1fr_12rem_6rem_auto]"
        onSubmit={(event) => {
          event.preventDefault();
          search.mutate();
        }}
      >
        <TextField
          label="Question"
          data-filter
          required
          maxLength={4000}
          placeholder="What would somebody ask?"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <ModeField value={mode} onPick={setMode} />
        <TextField
          label="Passages"
          type="number"
          min={1}
          max={50}
          required
          value={topK}
          onChange={(event) => setTopK(event.target.value)}
        />
        <Button look="primary" type="submit" pending={search.isPending}>
          Search
        </Button>
      </form>
      <p className="mt-2 text-xs text-muted">
        Comparing by meaning asks the embeddings model, which costs a fraction of a cent like any request.
      </p>
      {search.error ? (
        <div className="mt-3">
          <ErrorNote error={search.error} />
        </div>
      ) : null}
      {search.data ? <Found found={search.data} /> : null}
    </Card>
  );
}

function Found({ found: { data, embeddingTokens, tookMs } }: { found: PassagesView }) {
  if (data.length === 0) {
    return <Empty title="Nothing fits">Ask in other words, or check under Files that they were read.</Empty>;
  }
  return (
    <div className="mt-4 flex flex-col gap-3">
      <p role="status" className="text-sm text-muted">
        {plural(data.length, 'passage')} in {duration(tookMs)}
        {embeddingTokens > 0 ? `, ${count(embeddingTokens)} tokens for the question` : ''}
      </p>
      <ol className="flex flex-col gap-3">
        {data.map((passage) => (
          <li key={`${passage.fileId} ${passage.chunk}`} className="rounded-lg border border-line p-3" data-passage>
            <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 text-sm">
              <span className="min-w-0 font-medium break-all">
                {passage.filename}
                {passage.heading ? <span className="font-normal text-muted"> · {passage.heading}</span> : null}
                {passage.place ? <span className="font-normal text-muted"> · {passage.place}</span> : null}
              </span>
              <span className="inline-flex w-40 items-center gap-2">
                <Bar share={passage.score} label="Score" tone="ok" />
                <span className="num">{passage.score.toFixed(3)}</span>
              </span>
            </div>
            <p className="mt-2 max-h-48 overflow-y-auto text-sm whitespace-pre-wrap">{passage.text}</p>
          </li>
        ))}
      </ol>
    </div>
  );
}

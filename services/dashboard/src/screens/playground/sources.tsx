/** Which documents the answer may quote, and afterwards what it was given of them. */
import { useQuery } from '@tanstack/react-query';
import { collectionsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { plural } from '../../lib/numbers.ts';
import { TextField } from '../../ui/field.tsx';
import { FilterChip } from '../../ui/menu.tsx';
import { Bar, Card, TextLink } from '../../ui/parts.tsx';
import { ProjectPicker } from '../collections/project-picker.tsx';
import { ModeField } from '../collections/test-search.tsx';
import { COLLECTIONS_MOST, type Draft } from './draft.ts';
import type { Source } from './run-state.ts';

interface Props {
  draft: Draft;
  set(change: Partial<Draft>): void;
}

export function ChooseSources({ draft, set }: Props) {
  const { accountId, may } = useSession();
  const project = draft.project || undefined;
  const list = useQuery({ ...collectionsQuery(accountId, project), enabled: may('playground:use'), retry: false });
  // Not switched on here, or not reachable now: the rest of the playground works.
  if (!list.data && draft.collections.length === 0) return null;
  const choices = (list.data?.data ?? []).map(({ collectionId, name }) => ({
    value: collectionId,
    label: name || collectionId,
  }));
  const used = draft.collections.length > 0;
  return (
    <Card>
      <div className="flex flex-col gap-3">
        <div className="flex flex-wrap items-end gap-3">
          <ProjectPicker value={project} onChange={(next) => set({ project: next ?? '', collections: [] })} />
          <FilterChip
            label="Answer from collections"
            choices={choices}
            selected={draft.collections}
            onChange={(collections) => set({ collections: collections.slice(0, COLLECTIONS_MOST) })}
          />
          {used ? (
            <>
              <ModeField className="w-44" value={draft.mode} onPick={(mode) => set({ mode })} />
              <TextField
                label="Passages"
                className="w-24"
                inputMode="numeric"
                value={draft.topK}
                onChange={(event) => set({ topK: event.target.value })}
              />
            </>
          ) : null}
        </div>
        {choices.length === 0 && !used ? (
          <p className="text-xs text-muted">
            No <TextLink to="/collections">collections</TextLink> yet: with one, answers quote your documents.
          </p>
        ) : null}
      </div>
    </Card>
  );
}

/** The passages that stood in the prompt, in the order of their numbers in the answer. */
export function ShownSources({ sources }: { sources: readonly Source[] }) {
  if (sources.length === 0) {
    return <p className="text-sm text-muted">No passage fitted the question; the model was told so.</p>;
  }
  return (
    <section aria-label="Sources">
      <h3 className="mb-2 text-sm font-medium">{plural(sources.length, 'source')}</h3>
      <ol className="flex flex-col gap-2">
        {sources.map((source) => (
          <li key={source.index} className="rounded-lg border border-line" data-source>
            <details>
              <summary className="tap flex flex-wrap items-center gap-x-3 px-3 text-sm">
                <span className="num text-muted">[{source.index}]</span>
                <span className="min-w-0 flex-1 truncate">
                  {source.filename}
                  {source.heading ? <span className="text-muted"> · {source.heading}</span> : null}
                  {source.place ? <span className="text-muted"> · {source.place}</span> : null}
                </span>
                <span className="inline-flex w-28 items-center gap-2">
                  <Bar share={source.score} label={`Score of source ${source.index}`} tone="ok" />
                  <span className="num">{source.score.toFixed(2)}</span>
                </span>
              </summary>
              <p className="border-t border-line px-3 py-2 text-sm whitespace-pre-wrap">{source.text}</p>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

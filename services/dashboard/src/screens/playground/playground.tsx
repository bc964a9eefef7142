import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { Play, Share2, Square } from 'lucide-react';
import { useEffect, useState } from 'react';
import { modelsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { lintSchema } from '../../lib/json/schema-lint.ts';
import { Button } from '../../ui/button.tsx';
import { copyText } from '../../ui/copy.tsx';
import { Empty, Loaded, PageBody } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';
import { Compose } from './compose.tsx';
import { bodyOf, type Draft, draftFromHash, draftToHash, EMPTY_DRAFT } from './draft.ts';
import { clearLeftDraft, leftDraft } from './handed-over.ts';
import { Output } from './output.tsx';
import type { PastedKey } from './pasted-keys.ts';
import { useRun } from './run.ts';
import { RunWith } from './run-with.tsx';

export default function PlaygroundPage() {
  const { accountId, may, me } = useSession();
  const { model: wanted, collection, project } = useSearch({ from: '/signed-in/playground' });
  const models = useQuery(modelsQuery);
  const [draft, setDraft] = useState<Draft>(() => ({
    ...(leftDraft() ?? draftFromHash(location.hash) ?? EMPTY_DRAFT),
    ...(collection ? { collections: [collection], project: project ?? '' } : {}),
  }));
  useEffect(clearLeftDraft, []);
  const [key, setKey] = useState<PastedKey | null>(null);
  const { run, start, stop } = useRun(accountId);
  const set = (change: Partial<Draft>) => setDraft((old) => ({ ...old, ...change }));
  const enabled = (models.data ?? []).filter((model) => model.enabled);
  const model = draft.model || wanted || enabled[0]?.id || '';
  const full = { ...draft, model };
  const broken =
    draft.structured && lintSchema(draft.schema, { strict: false }).some(({ severity }) => severity === 'error');
  const asked = draft.messages.some(({ content }) => content.trim() !== '');
  const busy = run.state === 'waiting' || run.state === 'streaming';
  const ready = model !== '' && asked && !broken && !busy && may('playground:use');
  const go = () => {
    if (!ready) return;
    const explain = me.user.operator && key === null;
    void start(bodyOf(full), { key: key?.text ?? null, project: draft.project || undefined, explain });
  };
  const share = async () => {
    const url = `${location.origin}/playground#${draftToHash(full)}`;
    history.replaceState(history.state, '', url);
    toast((await copyText(url)) ?? 'Link copied. It holds the text, never a key.');
  };

  return (
    <PageBody
      title="Playground"
      lead="Requests from here pass through the router like any other: same limits, same price, in your usage."
      actions={
        <Button icon={<Share2 size={15} aria-hidden="true" />} onClick={() => void share()}>
          Copy link
        </Button>
      }
    >
      <Loaded query={models} skeleton="h-96">
        {() =>
          enabled.length === 0 ? (
            <div className="card">
              <Empty title="No model is on sale">The operator of this installation adds models and their prices.</Empty>
            </div>
          ) : (
            <div className="grid items-start gap-5 lg:grid-cols-2">
              {/* Ctrl+Enter runs from anywhere in the form. */}
              <form
                className="flex flex-col gap-4"
                aria-label="Request"
                onSubmit={(event) => {
                  event.preventDefault();
                  go();
                }}
                onKeyDown={(event) => {
                  if ((event.ctrlKey || event.metaKey) && event.key === 'Enter') {
                    event.preventDefault();
                    go();
                  }
                }}
              >
                <Compose
                  draft={full}
                  set={set}
                  models={enabled.map(({ id }) => id)}
                  onRun={go}
                  runWith={<RunWith value={key} onChange={setKey} />}
                />
                <div className="flex items-center gap-3">
                  {busy ? (
                    <Button look="danger" icon={<Square size={14} aria-hidden="true" />} onClick={stop}>
                      Stop
                    </Button>
                  ) : (
                    <Button look="primary" type="submit" disabled={!ready} icon={<Play size={14} aria-hidden="true" />}>
                      Run
                    </Button>
                  )}
                  <span className="text-xs text-muted">
                    {may('playground:use')
                      ? broken
                        ? 'Mend the schema first.'
                        : asked
                          ? 'Ctrl+Enter (Mac: ⌘Enter)'
                          : 'Write a message first.'
                      : 'Your role may not send requests.'}
                  </span>
                </div>
              </form>
              <Output run={run} draft={full} price={enabled.find(({ id }) => id === model)?.price ?? null} />
            </div>
          )
        }
      </Loaded>
    </PageBody>
  );
}

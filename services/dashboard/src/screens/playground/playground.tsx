import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { Play, Plus, Share2, Square, Trash2 } from 'lucide-react';
import { lazy, Suspense, useState } from 'react';
import { modelsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { lintSchema } from '../../lib/json/schema-lint.ts';
import { plural } from '../../lib/numbers.ts';
import { Button } from '../../ui/button.tsx';
import { copyText } from '../../ui/copy.tsx';
import { Checkbox, SelectField, TextArea, TextField } from '../../ui/field.tsx';
import { Card, Empty, Loaded, PageBody, Skeleton } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';
import { bodyOf, type Draft, draftFromHash, draftToHash, EMPTY_DRAFT, PRESETS } from './draft.ts';
import { Output } from './output.tsx';
import { useRun } from './run.ts';

const JsonEditor = lazy(() => import('./json-editor.tsx'));

export default function PlaygroundPage() {
  const { accountId, may } = useSession();
  const { model: wanted } = useSearch({ from: '/signed-in/playground' });
  const models = useQuery(modelsQuery);
  const [draft, setDraft] = useState<Draft>(() => draftFromHash(location.hash) ?? EMPTY_DRAFT);
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
    if (ready) void start(bodyOf(full));
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
                <Compose draft={full} set={set} models={enabled.map(({ id }) => id)} onRun={go} />
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

interface ComposeProps {
  draft: Draft;
  set(change: Partial<Draft>): void;
  models: readonly string[];
  onRun(): void;
}

function Compose({ draft, set, models, onRun }: ComposeProps) {
  const message = (index: number, change: Partial<Draft['messages'][number]>) =>
    set({ messages: draft.messages.map((old, at) => (at === index ? { ...old, ...change } : old)) });
  return (
    <>
      <div className="flex flex-wrap items-center gap-2">
        <span className="text-sm text-muted">Start from</span>
        {PRESETS.map(({ name, draft: preset }) => (
          <Button key={name} onClick={() => set(preset)}>
            {name}
          </Button>
        ))}
      </div>
      <Card>
        <div className="flex flex-col gap-4">
          <div className="grid gap-4 sm:grid-cols-4">
            <SelectField
              className="sm:col-span-2"
              label="Model"
              value={draft.model}
              onChange={(event) => set({ model: event.target.value })}
            >
              {models.map((id) => (
                <option key={id}>{id}</option>
              ))}
            </SelectField>
            <TextField
              label="Temperature"
              inputMode="decimal"
              placeholder="model's"
              value={draft.temperature}
              onChange={(event) => set({ temperature: event.target.value })}
            />
            <TextField
              label="Most tokens"
              inputMode="numeric"
              placeholder="model's"
              value={draft.maxTokens}
              onChange={(event) => set({ maxTokens: event.target.value })}
            />
          </div>
          <TextArea
            label="System"
            rows={2}
            placeholder="Who the model is, and what it must keep to (may stay empty)"
            value={draft.system}
            onChange={(event) => set({ system: event.target.value })}
          />
          {draft.messages.map((item, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: messages have no other name, and only the last is removed
            <div key={index} className="flex flex-col gap-1">
              <TextArea
                label={item.role === 'user' ? 'User' : 'Assistant'}
                rows={3}
                value={item.content}
                onChange={(event) => message(index, { content: event.target.value })}
              />
            </div>
          ))}
          <div className="flex flex-wrap gap-2">
            <Button
              icon={<Plus size={14} aria-hidden="true" />}
              onClick={() =>
                set({
                  messages: [
                    ...draft.messages,
                    { role: draft.messages.at(-1)?.role === 'user' ? 'assistant' : 'user', content: '' },
                  ],
                })
              }
            >
              Add {draft.messages.at(-1)?.role === 'user' ? 'an answer' : 'a question'}
            </Button>
            {draft.messages.length > 1 ? (
              <Button
                look="ghost"
                icon={<Trash2 size={14} aria-hidden="true" />}
                onClick={() => set({ messages: draft.messages.slice(0, -1) })}
              >
                Remove the last
              </Button>
            ) : null}
          </div>
        </div>
      </Card>
      <Card>
        <Checkbox
          label="The answer must be JSON under a schema"
          checked={draft.structured}
          onChange={(event) => set({ structured: event.target.checked })}
        />
        {draft.structured ? <SchemaPart draft={draft} set={set} onRun={onRun} /> : null}
      </Card>
    </>
  );
}

function SchemaPart({ draft, set, onRun }: Omit<ComposeProps, 'models'>) {
  const findings = lintSchema(draft.schema, { strict: draft.strict });
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const format = () => {
    try {
      set({ schema: JSON.stringify(JSON.parse(draft.schema), null, 2) });
    } catch {
      toast('Only valid JSON can be formatted; the editor shows where it breaks.');
    }
  };
  return (
    <div className="mt-3 flex flex-col gap-2">
      <Suspense fallback={<Skeleton className="h-72" />}>
        <JsonEditor
          label="JSON Schema of the answer"
          value={draft.schema}
          strict={draft.strict}
          onChange={(schema) => set({ schema })}
          onRun={onRun}
        />
      </Suspense>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Button onClick={format}>Format</Button>
        <Checkbox label="strict" checked={draft.strict} onChange={(event) => set({ strict: event.target.checked })} />
        <p
          role="status"
          className={`text-sm ${errors > 0 ? 'text-bad' : findings.length > 0 ? 'text-warn' : 'text-ok'}`}
        >
          {findings.length === 0
            ? 'Enforced while the answer is written.'
            : `${plural(findings.length, 'finding')}: ${findings[0]!.message}`}
        </p>
      </div>
    </div>
  );
}

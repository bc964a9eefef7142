/** The form of the playground: model, key, messages, documents, schema. */
import { Plus, Trash2 } from 'lucide-react';
import { lazy, type ReactNode, Suspense } from 'react';
import { lintSchema } from '../../lib/json/schema-lint.ts';
import { plural } from '../../lib/numbers.ts';
import { Button } from '../../ui/button.tsx';
import { Checkbox, SelectField, TextArea, TextField } from '../../ui/field.tsx';
import { Card, Skeleton } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';
import { type Draft, PRESETS } from './draft.ts';
import { ChooseSources } from './sources.tsx';

const JsonEditor = lazy(() => import('./json-editor.tsx'));

interface ComposeProps {
  draft: Draft;
  set(change: Partial<Draft>): void;
  models: readonly string[];
  onRun(): void;
  runWith: ReactNode;
}

export function Compose({ draft, set, models, onRun, runWith }: ComposeProps) {
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
          {runWith}
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
      <ChooseSources draft={draft} set={set} />
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

function SchemaPart({ draft, set, onRun }: Omit<ComposeProps, 'models' | 'runWith'>) {
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

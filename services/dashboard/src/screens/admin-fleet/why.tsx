/** Sends one short request and shows how the router compared the workers for it. It is charged like any request. */
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { failureOf, send } from '../../api/client.ts';
import { account, modelsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { readExplanation } from '../../lib/explanation.ts';
import { Button } from '../../ui/button.tsx';
import { ExplanationTable } from '../../ui/explanation.tsx';
import { SelectField, TextArea } from '../../ui/field.tsx';
import { Card, ErrorNote } from '../../ui/parts.tsx';

export function WhyThisWorker() {
  const { accountId } = useSession();
  const models = useQuery(modelsQuery);
  const enabled = (models.data ?? []).filter((model) => model.enabled);
  const [chosen, setChosen] = useState('');
  const [prompt, setPrompt] = useState('Say hello.');
  const model = chosen || enabled[0]?.id || '';
  const ask = useMutation({
    mutationFn: async () => {
      const response = await send('POST', `${account(accountId)}/playground/chat`, {
        headers: { 'x-tollgate-route-explain': '1' },
        body: { model, messages: [{ role: 'user', content: prompt }], max_tokens: 1 },
      });
      if (!response.ok) throw await failureOf(response);
      await response.body?.cancel();
      const explanation = readExplanation(response.headers.get('x-tollgate-route-explain'));
      if (explanation === null) throw new Error('The router gave no explanation with its answer.');
      return explanation;
    },
  });
  return (
    <Card title="Why this worker?">
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          ask.mutate();
        }}
      >
        <p className="text-sm text-muted">
          The router compares all workers for this very prompt, now. One token is asked for and charged to your
          organisation.
        </p>
        <div className="grid gap-3 sm:grid-cols-[18rem_1fr_auto] sm:items-end">
          <SelectField label="Model" value={model} onChange={(event) => setChosen(event.target.value)}>
            {enabled.map(({ id }) => (
              <option key={id}>{id}</option>
            ))}
          </SelectField>
          <TextArea
            label="Prompt"
            rows={1}
            required
            value={prompt}
            onChange={(event) => setPrompt(event.target.value)}
          />
          <Button type="submit" look="primary" pending={ask.isPending} disabled={model === ''}>
            Explain
          </Button>
        </div>
      </form>
      {ask.error ? (
        <div className="mt-3">
          <ErrorNote error={ask.error} />
        </div>
      ) : null}
      {ask.data ? (
        <div className="mt-4">
          <ExplanationTable explanation={ask.data} />
        </div>
      ) : null}
    </Card>
  );
}

/** Selling a model, pricing it anew, changing its settings. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ModelView, PriceView } from '@tollgate/shared/contracts/console/models';
import { useState } from 'react';
import { part, patch, post } from '../../api/client.ts';
import { modelsQuery } from '../../api/queries.ts';
import { usd, usdExact } from '../../lib/money.ts';
import { Confirm } from '../../ui/dialog.tsx';
import { Checkbox, TextField } from '../../ui/field.tsx';
import { messageOf } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

interface Price {
  inputUsd: string;
  cachedInputUsd: string;
  outputUsd: string;
}
const plain = (nusd: string | undefined) => (nusd === undefined ? '' : usdExact(nusd).replace(/[$,]/g, ''));
const bodyOf = ({ inputUsd, cachedInputUsd, outputUsd }: Price) => ({
  inputUsd: inputUsd.trim(),
  outputUsd: outputUsd.trim(),
  ...(cachedInputUsd.trim() === '' ? {} : { cachedInputUsd: cachedInputUsd.trim() }),
});

function PriceFields({ price, set }: { price: Price; set(price: Price): void }) {
  const field = (name: keyof Price, label: string, hint?: string) => (
    <TextField
      label={label}
      hint={hint}
      inputMode="decimal"
      required={name !== 'cachedInputUsd'}
      value={price[name]}
      onChange={(event) => set({ ...price, [name]: event.target.value })}
    />
  );
  return (
    <div className="grid gap-4 sm:grid-cols-3">
      {field('inputUsd', 'Prompt')}
      {field('cachedInputUsd', 'Cached prompt', 'Empty: the prompt price.')}
      {field('outputUsd', 'Answer')}
    </div>
  );
}

function useSave<T>(save: () => Promise<T>, done: string, onClose: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: save,
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: modelsQuery.queryKey });
      toast(done);
      onClose();
    },
  });
}

export function AddModel({ onClose }: { onClose(): void }) {
  const [id, setId] = useState('');
  const [context, setContext] = useState('32768');
  const [price, setPrice] = useState<Price>({ inputUsd: '', cachedInputUsd: '', outputUsd: '' });
  const save = useSave(
    () => post<ModelView>('/api/models', { id: id.trim(), maxModelLen: Number(context), price: bodyOf(price) }),
    'On sale; routers know it already',
    onClose,
  );
  return (
    <Confirm
      open
      harmless
      onClose={onClose}
      title="Sell a model"
      description="Its id as workers serve it, and dollars per million tokens."
      action="Sell it"
      pending={save.isPending}
      error={save.error ? messageOf(save.error) : null}
      onConfirm={() => save.mutate()}
    >
      <TextField
        label="Model id"
        required
        placeholder="org/name"
        value={id}
        onChange={(event) => setId(event.target.value)}
      />
      <TextField
        label="Context, tokens"
        inputMode="numeric"
        required
        value={context}
        onChange={(event) => setContext(event.target.value)}
      />
      <PriceFields price={price} set={setPrice} />
    </Confirm>
  );
}

export function ChangePrice({ model, onClose }: { model: ModelView; onClose(): void }) {
  const [price, setPrice] = useState<Price>({
    inputUsd: plain(model.price?.inputNusd),
    cachedInputUsd: plain(model.price?.cachedInputNusd),
    outputUsd: plain(model.price?.outputNusd),
  });
  const save = useSave(
    () => post<PriceView>(`/api/models/${part(model.id)}/prices`, bodyOf(price)),
    'The new price holds from now on',
    onClose,
  );
  return (
    <Confirm
      open
      harmless
      onClose={onClose}
      title="New price"
      description={`${model.id}, dollars per million tokens. Now: ${usd(model.price?.inputNusd)} / ${usd(model.price?.cachedInputNusd)} / ${usd(model.price?.outputNusd)}.`}
      action="Set price"
      pending={save.isPending}
      error={save.error ? messageOf(save.error) : null}
      onConfirm={() => save.mutate()}
    >
      <PriceFields price={price} set={setPrice} />
    </Confirm>
  );
}

export function EditModel({ model, onClose }: { model: ModelView; onClose(): void }) {
  const [enabled, setEnabled] = useState(model.enabled);
  const [tokens, setTokens] = useState(model.defaultMaxTokens === null ? '' : String(model.defaultMaxTokens));
  const save = useSave(
    () =>
      patch<ModelView>(`/api/models/${part(model.id)}`, {
        enabled,
        defaultMaxTokens: tokens.trim() === '' ? null : Number(tokens),
      }),
    'Saved; routers know it already',
    onClose,
  );
  return (
    <Confirm
      open
      harmless
      onClose={onClose}
      title="Settings of the model"
      description={model.id}
      action="Save"
      pending={save.isPending}
      error={save.error ? messageOf(save.error) : null}
      onConfirm={() => save.mutate()}
    >
      <Checkbox
        label="On sale"
        hint="Off: requests for it are answered 404."
        checked={enabled}
        onChange={(event) => setEnabled(event.target.checked)}
      />
      <TextField
        label="Most tokens of an answer when the client asks for none"
        inputMode="numeric"
        placeholder="the rest of the context"
        value={tokens}
        onChange={(event) => setTokens(event.target.value)}
      />
    </Confirm>
  );
}

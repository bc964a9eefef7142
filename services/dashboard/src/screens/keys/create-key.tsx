/** Makes a key, then shows it this once. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { CreatedKey } from '@tollgate/shared/contracts/console/keys';
import { useRef, useState } from 'react';
import { post } from '../../api/client.ts';
import { useSession } from '../../app/session.tsx';
import { Button } from '../../ui/button.tsx';
import { Modal } from '../../ui/dialog.tsx';
import { ErrorNote } from '../../ui/parts.tsx';
import { KeyFields } from './fields.tsx';
import { bodyOf, checkForm, type FieldErrors, NEW_KEY } from './form.ts';
import { RevealKey } from './reveal.tsx';

interface Props {
  open: boolean;
  onClose(): void;
  /** The key itself, for the set-up guide's snippet; it must not be kept longer than the page. */
  onCreated?(key: string): void;
}

export function CreateKey({ open, onClose, onCreated }: Props) {
  const { accountId } = useSession();
  const client = useQueryClient();
  const [form, setForm] = useState(NEW_KEY);
  const [errors, setErrors] = useState<FieldErrors>({});
  const [made, setMade] = useState<CreatedKey | null>(null);
  // The same attempt, repeated after a lost answer, must not make a second key.
  const attempt = useRef(crypto.randomUUID?.() ?? String(Math.random()));
  const create = useMutation({
    mutationFn: () =>
      post<CreatedKey>(
        '/api/keys',
        {
          ...bodyOf(form, Date.now()),
          accountId,
          ...(form.projectId === '' ? {} : { projectId: form.projectId }),
        },
        { idempotencyKey: attempt.current },
      ),
    onSuccess: (key) => {
      setMade(key);
      onCreated?.(key.key);
      void client.invalidateQueries({ queryKey: ['keys'] });
      void client.invalidateQueries({ queryKey: ['guide'] });
    },
  });
  const close = () => {
    setForm(NEW_KEY);
    setErrors({});
    setMade(null);
    attempt.current = crypto.randomUUID?.() ?? String(Math.random());
    create.reset();
    onClose();
  };
  const submit = () => {
    const found = checkForm(form);
    setErrors(found);
    if (Object.keys(found).length === 0) create.mutate();
  };
  if (made) return <RevealKey secret={made.key} title="Your new key" onSaved={close} />;
  return (
    <Modal
      open={open}
      onClose={close}
      title="Create an API key"
      footer={
        <>
          <Button onClick={close}>Cancel</Button>
          <Button look="primary" type="submit" form="create-key" pending={create.isPending}>
            Create key
          </Button>
        </>
      }
    >
      <form
        id="create-key"
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <KeyFields form={form} set={(change) => setForm((old) => ({ ...old, ...change }))} errors={errors} isNew />
        {create.error ? <ErrorNote error={create.error} /> : null}
      </form>
    </Modal>
  );
}

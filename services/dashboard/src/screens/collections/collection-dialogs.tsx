/** Making a collection, changing its name and when it ends, deleting it. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { CollectionView } from '@tollgate/shared/contracts/console/collections';
import { useState } from 'react';
import { patch, post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { compactSearch, queryText } from '../../lib/search.ts';
import { Button } from '../../ui/button.tsx';
import { Confirm, Modal } from '../../ui/dialog.tsx';
import { TextField } from '../../ui/field.tsx';
import { ErrorNote, messageOf } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

interface Props {
  project: string | undefined;
  onClose(): void;
}

const FORM = 'collection';

/** A new one when `collection` is null. */
export function CollectionDialog({ collection, project, onClose }: Props & { collection: CollectionView | null }) {
  const { accountId } = useSession();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState(collection?.name ?? '');
  const [days, setDays] = useState(collection?.expiresDays ? String(collection.expiresDays) : '');
  const save = useMutation({
    mutationFn: () => {
      const body = { name: name.trim(), expiresDays: days.trim() === '' ? null : Number(days) };
      return collection === null
        ? post<CollectionView>(`${account(accountId)}/collections${queryText({ projectId: project })}`, body)
        : patch<CollectionView>(`${account(accountId)}/collections/${collection.collectionId}`, body, {
            projectId: project,
          });
    },
    onSuccess: ({ collectionId }) => {
      void client.invalidateQueries({ queryKey: ['collections', accountId] });
      if (collection === null) {
        const search = compactSearch({ project });
        void navigate({ to: '/collections/$collectionId', params: { collectionId }, search });
      } else {
        toast('Saved');
        onClose();
      }
    },
  });
  return (
    <Modal
      open
      onClose={onClose}
      title={collection === null ? 'New collection' : 'Settings of the collection'}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" form={FORM} pending={save.isPending}>
            {collection === null ? 'Create' : 'Save'}
          </Button>
        </>
      }
    >
      <form
        id={FORM}
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <TextField
          label="Name"
          required
          maxLength={200}
          placeholder="Handbook, terms, product sheets …"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <TextField
          label="Ends after so many days without use"
          type="number"
          min={1}
          max={365}
          placeholder="never"
          hint="Empty: it stays. A search, an answer from it or a new file begins the days anew; files stay in any case."
          value={days}
          onChange={(event) => setDays(event.target.value)}
        />
        {save.error ? <ErrorNote error={save.error} /> : null}
      </form>
    </Modal>
  );
}

export function RemoveCollection({ target, project, onClose }: Props & { target: CollectionView }) {
  const { accountId } = useSession();
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      post(`${account(accountId)}/collections/${target.collectionId}/remove${queryText({ projectId: project })}`),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['collections', accountId] });
      toast(`“${target.name}” is deleted`);
      onClose();
    },
  });
  return (
    <Confirm
      open
      onClose={onClose}
      title={`Delete “${target.name}”?`}
      description="Its passages and vectors go at once, and requests that name it are answered 404. The files themselves stay in your account."
      typed={target.name || target.collectionId}
      action="Delete collection"
      pending={remove.isPending}
      error={remove.error ? messageOf(remove.error) : null}
      onConfirm={() => remove.mutate()}
    />
  );
}

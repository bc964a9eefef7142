/** What usage and requests are both filtered by. */
import { useQuery } from '@tanstack/react-query';
import type { KeyView } from '@tollgate/shared/contracts/console/keys';
import { keysQuery, modelsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { dateTime } from '../../lib/time.ts';
import { FilterChip } from '../../ui/menu.tsx';

/** Keys of the same name are told apart by when they were made. */
function keyChoices(keys: readonly KeyView[]) {
  const names = keys.map(({ name }) => name);
  return keys.map(({ keyId, name, createdAt, revokedAt }) => {
    const known = names.indexOf(name) === names.lastIndexOf(name) ? name : `${name}, ${dateTime(createdAt)}`;
    return { value: keyId, label: revokedAt ? `${known} (revoked)` : known };
  });
}

interface Selected {
  model?: string[] | undefined;
  keyId?: string[] | undefined;
}

/** A filter that lets everything pass stands in no address. */
export const some = (values: string[]) => (values.length === 0 ? undefined : values);

export function ModelAndKey({ selected, set }: { selected: Selected; set(change: Selected): void }) {
  const { accountId } = useSession();
  const models = useQuery(modelsQuery);
  const keys = useQuery(keysQuery(accountId));
  return (
    <>
      <FilterChip
        label="Model"
        choices={(models.data ?? []).map(({ id }) => ({ value: id, label: id }))}
        selected={selected.model ?? []}
        onChange={(model) => set({ model: some(model) })}
      />
      <FilterChip
        label="Key"
        choices={keyChoices(keys.data ?? [])}
        selected={selected.keyId ?? []}
        onChange={(keyId) => set({ keyId: some(keyId) })}
      />
    </>
  );
}

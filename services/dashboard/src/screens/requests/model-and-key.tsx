/** What usage and requests are both filtered by. */
import { useQuery } from '@tanstack/react-query';
import { keysQuery, modelsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { FilterChip } from '../../ui/menu.tsx';

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
        choices={(keys.data ?? []).map(({ keyId, name, revokedAt }) => ({
          value: keyId,
          label: revokedAt ? `${name} (revoked)` : name,
        }))}
        selected={selected.keyId ?? []}
        onChange={(keyId) => set({ keyId: some(keyId) })}
      />
    </>
  );
}

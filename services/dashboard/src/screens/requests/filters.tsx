/** Filters of the request log. All of them stand in the address. */
import { useQuery } from '@tanstack/react-query';
import type { ProjectView } from '@tollgate/shared/contracts/console/organisations';
import { useState } from 'react';
import { account, listQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { dateTime, duration, RANGE_NAMES, RANGES, type Range, rangeMs } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { useCommitted } from '../../ui/committed.ts';
import { SelectField, TextField } from '../../ui/field.tsx';
import { FilterChip } from '../../ui/menu.tsx';
import { FURTHER_FILTERS, isFiltered, type RequestsSearch } from './filter.ts';
import { ModelAndKey, some } from './model-and-key.tsx';
import { OUTCOME_CHOICES } from './outcome.ts';

const STATUSES = ['200', '400', '402', '403', '404', '408', '413', '422', '429', '499', '500', '502', '503', '504'];
const orNone = (text: string) => text || undefined;

interface Props {
  search: RequestsSearch;
  set(change: Partial<RequestsSearch>): void;
  clear(): void;
}

export function Filters({ search, set, clear }: Props) {
  const [more, setMore] = useState(() => FURTHER_FILTERS.some((name) => search[name] !== undefined));
  const id = useCommitted(search.id ?? '', (text) => set({ id: orNone(text) }));
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <input
          data-filter
          type="search"
          aria-label="Request id, or its beginning"
          placeholder="req_…"
          className="field w-44 font-mono text-sm"
          {...id}
        />
        <select
          aria-label="Time"
          className="field w-auto text-sm"
          value=""
          onChange={(event) => {
            const range = event.target.value as Range | '';
            if (range === '') return;
            set({ from: new Date(Date.now() - rangeMs(range)).toISOString(), to: undefined });
          }}
        >
          <option value="">{search.from || search.to ? 'Another time' : 'Any time'}</option>
          {RANGES.map((range) => (
            <option key={range} value={range}>
              {RANGE_NAMES[range]}
            </option>
          ))}
        </select>
        <FilterChip
          label="Outcome"
          choices={OUTCOME_CHOICES}
          selected={search.outcome ?? []}
          onChange={(outcome) => set({ outcome: some(outcome) })}
        />
        <FilterChip
          label="Status"
          choices={STATUSES.map((value) => ({ value, label: value }))}
          selected={search.status ?? []}
          onChange={(status) => set({ status: some(status) })}
        />
        <ModelAndKey selected={search} set={set} />
        <AtLeast
          label="First token took at least"
          any="Any first token"
          name="First token"
          steps={[200, 500, 1000, 3000, 10_000]}
          value={search.minFirstTokenMs}
          onPick={(minFirstTokenMs) => set({ minFirstTokenMs })}
        />
        <AtLeast
          label="Took at least"
          any="Any duration"
          name="Took"
          steps={[1000, 5000, 15_000, 60_000]}
          value={search.minDurationMs}
          onPick={(minDurationMs) => set({ minDurationMs })}
        />
        {search.from || search.to ? (
          <Button onClick={() => set({ from: undefined, to: undefined })}>
            {search.from ? dateTime(search.from) : '…'} – {search.to ? dateTime(search.to) : 'now'} ✕
          </Button>
        ) : null}
        <Button look="ghost" aria-expanded={more} onClick={() => setMore(!more)}>
          {more ? 'Fewer filters' : 'More filters'}
        </Button>
        {isFiltered(search) ? (
          <Button look="ghost" onClick={clear}>
            Clear all
          </Button>
        ) : null}
      </div>
      {more ? <Further search={search} set={set} /> : null}
    </div>
  );
}

interface AtLeastProps {
  label: string;
  any: string;
  name: string;
  /** Milliseconds to choose from; an address may hold another. */
  steps: readonly number[];
  value: number | undefined;
  onPick(ms: number | undefined): void;
}

function AtLeast({ label, any, name, steps, value, onPick }: AtLeastProps) {
  const choices = value === undefined || steps.includes(value) ? steps : [...steps, value].sort((a, b) => a - b);
  return (
    <select
      aria-label={label}
      className="field w-auto text-sm"
      value={value ?? ''}
      onChange={(event) => onPick(event.target.value ? Number(event.target.value) : undefined)}
    >
      <option value="">{any}</option>
      {choices.map((ms) => (
        <option key={ms} value={ms}>
          {name} ≥ {duration(ms)}
        </option>
      ))}
    </select>
  );
}

/** What clients and keys say of themselves: conversation, user, project; and the error code. */
function Further({ search, set }: Omit<Props, 'clear'>) {
  const { accountId } = useSession();
  const projects = useQuery(listQuery<ProjectView>(`${account(accountId)}/projects`));
  const list = projects.data ?? [];
  const chat = useCommitted(search.chatId ?? '', (text) => set({ chatId: orNone(text) }));
  const endUser = useCommitted(search.endUser ?? '', (text) => set({ endUser: orNone(text) }));
  const user = useCommitted(search.userId ?? '', (text) => set({ userId: orNone(text) }));
  const code = useCommitted((search.code ?? []).join(', '), (text) =>
    set({ code: some(text.split(/[\s,]+/).filter(Boolean)) }),
  );
  return (
    <div className="card grid gap-4 p-4 sm:grid-cols-2 lg:grid-cols-5">
      <TextField label="Chat id" hint="chat_id of the request" maxLength={256} {...chat} />
      <TextField label="End user" hint="user of the request" maxLength={256} {...endUser} />
      <TextField label="User" hint="For whom the key acted" maxLength={256} {...user} />
      <SelectField
        label="Project"
        value={search.projectId ?? ''}
        onChange={(event) => set({ projectId: orNone(event.target.value) })}
      >
        <option value="">Any</option>
        {search.projectId && !list.some(({ projectId }) => projectId === search.projectId) ? (
          <option>{search.projectId}</option>
        ) : null}
        {list.map(({ projectId, name }) => (
          <option key={projectId} value={projectId}>
            {name}
          </option>
        ))}
      </SelectField>
      <TextField label="Error code" placeholder="rate_limit_exceeded" {...code} />
    </div>
  );
}

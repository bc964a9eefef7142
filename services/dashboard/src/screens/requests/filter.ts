/** What the Requests page shows, held in its address. */
import { compactSearch, listIn, numberIn, type Search, textIn, timeIn } from '../../lib/search.ts';

export interface RequestsSearch {
  from?: string | undefined;
  to?: string | undefined;
  model?: string[] | undefined;
  keyId?: string[] | undefined;
  outcome?: string[] | undefined;
  status?: string[] | undefined;
  code?: string[] | undefined;
  id?: string | undefined;
  minFirstTokenMs?: number | undefined;
  minDurationMs?: number | undefined;
}

export const requestsSearch = (search: Search): RequestsSearch =>
  compactSearch({
    from: timeIn(search, 'from'),
    to: timeIn(search, 'to'),
    model: listIn(search, 'model'),
    keyId: listIn(search, 'keyId'),
    outcome: listIn(search, 'outcome'),
    status: listIn(search, 'status'),
    code: listIn(search, 'code'),
    id: textIn(search, 'id', 60),
    minFirstTokenMs: numberIn(search, 'minFirstTokenMs', 1, 86_400_000),
    minDurationMs: numberIn(search, 'minDurationMs', 1, 86_400_000),
  });

/** Query of the API; an id that cannot be one asks for nothing rather than for an error. */
export function apiQuery(search: RequestsSearch): Record<string, unknown> {
  const { id, model, keyId, outcome, status, code, ...rest } = search;
  return {
    ...rest,
    model: model?.join(','),
    keyId: keyId?.join(','),
    outcome: outcome?.join(','),
    status: status?.join(','),
    code: code?.join(','),
    idPrefix: id && /^req_[0-9A-Za-z]{0,40}$/.test(id) ? id : undefined,
  };
}
export const isFiltered = (search: RequestsSearch) => Object.keys(search).length > 0;

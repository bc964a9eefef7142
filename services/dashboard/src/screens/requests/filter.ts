/** What the Requests page shows, held in its address. */
import { compactSearch, listIn, numberIn, type Search, textIn, timeIn } from '../../lib/search.ts';

/** The API takes clients' own names up to this length. */
const LABEL_MOST = 256;

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
  chatId?: string | undefined;
  endUser?: string | undefined;
  userId?: string | undefined;
  projectId?: string | undefined;
}

/** Whose requests and why: shown when asked for, or when one of them is set. */
export const FURTHER_FILTERS = ['chatId', 'endUser', 'userId', 'projectId', 'code'] as const;

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
    chatId: textIn(search, 'chatId', LABEL_MOST),
    endUser: textIn(search, 'endUser', LABEL_MOST),
    userId: textIn(search, 'userId', LABEL_MOST),
    projectId: textIn(search, 'projectId', LABEL_MOST),
  });

const CODE = /^[a-z_]{1,60}$/;
/** Query of the API; what cannot be an id or a code asks for nothing rather than for an error. */
export function apiQuery(search: RequestsSearch): Record<string, unknown> {
  const { id, model, keyId, outcome, status, code, ...rest } = search;
  return {
    ...rest,
    model: model?.join(','),
    keyId: keyId?.join(','),
    outcome: outcome?.join(','),
    status: status?.join(','),
    code: code?.filter((name) => CODE.test(name)).join(',') || undefined,
    idPrefix: id && /^req_[0-9A-Za-z]{0,40}$/.test(id) ? id : undefined,
  };
}
export const isFiltered = (search: RequestsSearch) => Object.keys(search).length > 0;

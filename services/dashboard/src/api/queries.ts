/** What each screen reads, named once: the same key means the same data everywhere. */

import { keepPreviousData, QueryClient, queryOptions } from '@tanstack/react-query';
import type { AccountView } from '@tollgate/shared/contracts/console/accounts';
import type { Me, SignInOptions } from '@tollgate/shared/contracts/console/auth';
import type { CollectionPage } from '@tollgate/shared/contracts/console/collections';
import type { Page } from '@tollgate/shared/contracts/console/common';
import type { CreditsView } from '@tollgate/shared/contracts/console/credits';
import type {
  ForecastView,
  GuideView,
  LiveLimitsView,
  OverviewView,
  SeriesView,
  StatusView,
} from '@tollgate/shared/contracts/console/insights';
import type { KeyView } from '@tollgate/shared/contracts/console/keys';
import type { ModelView } from '@tollgate/shared/contracts/console/models';
import type { NewerView, RequestDetail, RequestPage } from '@tollgate/shared/contracts/console/requests';
import type { TopupView } from '@tollgate/shared/contracts/console/topup';
import { ApiError, get, setCsrfToken } from './client.ts';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal does not become an answer by asking again; an outage may.
      retry: (failures, error) =>
        failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      refetchOnWindowFocus: true,
    },
  },
});

/** Lists of an organisation are short; a whole page of the API's largest size holds them. */
export const WHOLE_LIST = 1000;
/** Retrieval gives at most so many at a time. */
export const COLLECTIONS_LIMIT = 100;
export const account = (id: string) => `/api/accounts/${id}`;

/** Oneself, or null when nobody is signed in. */
export const meQuery = queryOptions({
  queryKey: ['me'],
  staleTime: 60_000,
  queryFn: async ({ signal }): Promise<Me | null> => {
    try {
      return keepMe(await get<Me>('/api/me', undefined, signal));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return keepMe(null);
      throw error;
    }
  },
});

/** Remembers the token that goes with every change. */
export function keepMe(me: Me | null): Me | null {
  setCsrfToken(me?.session?.csrfToken ?? null);
  return me;
}

export const optionsQuery = queryOptions({
  queryKey: ['sign-in-options'],
  staleTime: 60_000,
  queryFn: ({ signal }) => get<SignInOptions>('/api/auth/options', undefined, signal),
});

export const keysQuery = (id: string, state?: 'live') =>
  queryOptions({
    queryKey: ['keys', id, state ?? 'all'],
    queryFn: ({ signal }) =>
      get<Page<KeyView>>('/api/keys', { accountId: id, state, limit: WHOLE_LIST }, signal).then((page) => page.data),
  });

export const modelsQuery = queryOptions({
  queryKey: ['models'],
  staleTime: 60_000,
  queryFn: ({ signal }) => get<Page<ModelView>>('/api/models', { limit: WHOLE_LIST }, signal).then((page) => page.data),
});

export const overviewQuery = (id: string) =>
  queryOptions({
    queryKey: ['overview', id],
    refetchInterval: 15_000,
    queryFn: ({ signal }) => get<OverviewView>(`${account(id)}/overview`, undefined, signal),
  });

export const guideQuery = (id: string) =>
  queryOptions<GuideView>({
    queryKey: ['guide', id],
    staleTime: 0,
    // Until the first answer was served somebody waits for it; then nobody does.
    refetchInterval: ({ state }) => (state.data?.firstSuccess ? false : 2_000),
    queryFn: ({ signal }) => get<GuideView>(`${account(id)}/guide`, undefined, signal),
  });

export const creditsQuery = (id: string) =>
  queryOptions({
    queryKey: ['credits', id],
    refetchInterval: 10_000,
    queryFn: ({ signal }) => get<CreditsView>(`${account(id)}/credits`, undefined, signal),
  });
export const forecastQuery = (id: string) =>
  queryOptions({
    queryKey: ['forecast', id],
    queryFn: ({ signal }) => get<ForecastView>(`${account(id)}/forecast`, undefined, signal),
  });
export const topupQuery = (id: string) =>
  queryOptions({
    queryKey: ['topup', id],
    queryFn: ({ signal }) => get<TopupView>(`${account(id)}/topup`, undefined, signal),
  });

export interface SeriesFilter {
  from: string;
  to: string;
  by: 'hour' | 'day';
  group: string;
  model?: string | undefined;
  keyId?: string | undefined;
  outcome?: string | undefined;
}
export const seriesQuery = (id: string, filter: SeriesFilter) =>
  queryOptions({
    queryKey: ['series', id, filter],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => get<SeriesView>(`${account(id)}/usage/series`, { ...filter }, signal),
  });

export const requestsPage = (id: string, filter: Record<string, unknown>, signal?: AbortSignal) =>
  get<RequestPage>(`${account(id)}/requests`, filter, signal);
export const newerQuery = (id: string, since: string | null) =>
  queryOptions({
    queryKey: ['newer', id, since],
    enabled: since !== null,
    refetchInterval: 5_000,
    queryFn: ({ signal }) => get<NewerView>(`${account(id)}/requests/newer`, { since }, signal),
  });
export const requestQuery = (id: string, requestId: string) =>
  queryOptions({
    queryKey: ['request', id, requestId],
    queryFn: ({ signal }) => get<RequestDetail>(`${account(id)}/requests/${requestId}`, undefined, signal),
  });

export const limitsQuery = (id: string) =>
  queryOptions({
    queryKey: ['limits', id],
    staleTime: 0,
    refetchInterval: 2_000,
    queryFn: ({ signal }) => get<LiveLimitsView>(`${account(id)}/limits`, undefined, signal),
  });
export const accountQuery = (id: string) =>
  queryOptions({
    queryKey: ['account', id],
    queryFn: ({ signal }) => get<AccountView>(account(id), undefined, signal),
  });

export const statusQuery = queryOptions({
  queryKey: ['status'],
  refetchInterval: 30_000,
  queryFn: ({ signal }) => get<StatusView>('/api/status', undefined, signal),
});

/** Collections of the organisation, or of one of its projects. */
export const collectionsQuery = (id: string, projectId?: string) =>
  queryOptions({
    queryKey: ['collections', id, projectId ?? null],
    queryFn: ({ signal }) =>
      get<CollectionPage>(`${account(id)}/collections`, { projectId, limit: COLLECTIONS_LIMIT }, signal),
  });

/** A whole list that lies at an address, such as members or webhooks. */
export const listQuery = <T>(path: string) =>
  queryOptions({
    queryKey: ['list', path],
    queryFn: ({ signal }) => get<Page<T>>(path, { limit: WHOLE_LIST }, signal).then((page) => page.data),
  });

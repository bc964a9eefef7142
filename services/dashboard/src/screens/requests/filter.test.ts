import { expect, test } from '@jest/globals';
import { requestsQuery } from '@tollgate/shared/contracts/console/requests';
import { queryText } from '../../lib/search.ts';
import { apiQuery, isFiltered, requestsSearch } from './filter.ts';

test('whatever an address says, the console takes the query made from it', () => {
  const search = requestsSearch({
    model: ['org/a', 'b'],
    outcome: 'served',
    id: 'req_abc',
    minDurationMs: '200',
    from: '2026-11-21',
    chatId: 'Gespräch 7',
    userId: 'ada',
    endUser: 'customer-1',
    projectId: 'proj_1',
    code: ['rate_limit_exceeded', 'Not A Code'],
    junk: '1',
  });
  const sent = Object.fromEntries(new URLSearchParams(queryText(apiQuery(search))));
  expect(requestsQuery.safeParse(sent).error).toBeUndefined();
  expect(sent).toMatchObject({ model: 'org/a,b', idPrefix: 'req_abc', minDurationMs: '200', chatId: 'Gespräch 7' });
  expect(sent).toMatchObject({
    userId: 'ada',
    endUser: 'customer-1',
    projectId: 'proj_1',
    code: 'rate_limit_exceeded',
  });
});

test('an id that cannot be one is not sent', () => {
  expect(apiQuery(requestsSearch({ id: "'; drop" })).idPrefix).toBeUndefined();
  expect(isFiltered(requestsSearch({ nothing: 'known' }))).toBe(false);
});

import { readFileSync } from 'node:fs';
import { expect, jest } from '@jest/globals';
import { testConfig } from '@tollgate/shared/testkit/config';

/**
 * Tests that start processes share a machine with whatever else runs there: they get one second try, and the first
 * failure is printed. Property tests of the money core do not: a failure of theirs is a finding, however rare.
 */
const path = expect.getState().testPath ?? '';
const money = /[^/]*(lease|ledger|hold|money|settle|bill|spool|credit|overspend|refusal-oracle|confluence)[^/]*$/.test(
  path,
);
const startsProcesses = () =>
  /\/test\/(e2e|chaos|retrieval|conformance)\//.test(path) ||
  /testkit\/(redis|postgres)|testing\/harness/.test(readFileSync(path, 'utf8'));
if (path !== '' && !money && !testConfig().full && startsProcesses()) {
  jest.retryTimes(1, { logErrorsBeforeRetry: true });
}

import { expect, jest } from '@jest/globals';
import { testConfig } from '@tollgate/shared/testkit/config';

/**
 * Tests that start processes share a machine with whatever else runs there: they get one second try, and the first
 * failure is printed. Property tests of the money core do not: a failure of theirs is a finding, however rare.
 */
const path = expect.getState().testPath ?? '';
const startsProcesses = /\/test\/(e2e|chaos)\//.test(path);
const money = /(lease-machine|refusal-oracle|confluence|overspend)/.test(path);
if (startsProcesses && !money && !testConfig().full) jest.retryTimes(1, { logErrorsBeforeRetry: true });

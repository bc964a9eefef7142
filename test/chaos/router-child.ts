/** A router as a process of its own, for tests that kill it. */
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { main } from '../../services/router/src/main.ts';

await main([], childEnvironment());

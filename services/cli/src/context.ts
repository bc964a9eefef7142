/** What every command gets: configuration, output, clock; nothing is opened before a command asks. */
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Environment } from '@tollgate/shared/runtime/config';
import type { BackendAddresses } from './config.ts';
import type { ConsoleClient } from './console-client.ts';
import type { Output } from './output.ts';

export interface Context {
  env: Environment;
  cwd: string;
  clock: Clock;
  /** Output settings; known once the arguments are parsed. */
  output(): Output;
  /** Client of the console. Throws `CliError` (78) when nothing says where it is. */
  console(): ConsoleClient;
  backend(): BackendAddresses;
  /** Sets the exit status of a command that printed a result and still failed (`doctor`). */
  setExitCode(code: number): void;
}

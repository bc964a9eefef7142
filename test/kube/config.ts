/** Where the tools for the chart are: the only file of these tests that reads the environment. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { childEnvironment } from '@tollgate/shared/testkit/config';
import { onPath } from '../../services/shared/src/runtime/binaries.mjs';

/** Folder that `tools/tools.sh` fills: outside the tree, kept between runs. */
export const toolFolder =
  process.env.TOLLGATE_KUBE_TOOLS || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tollgate', 'kube');

/** Path of a tool: the built one, else (for helm) one that is installed; null when there is none. */
export function tool(name: string): string | null {
  const built = join(toolFolder, 'bin', name);
  if (existsSync(built)) return built;
  return name === 'helm' ? onPath(name, process.env.PATH) : null;
}

/** Environment of a tool: none of this user's Helm or Kubernetes settings. */
export function toolEnvironment(home: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    ...childEnvironment(),
    HOME: home,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    KUBECONFIG: join(home, 'none'),
    ...more,
  };
}

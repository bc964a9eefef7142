// @ts-check
/** `npm run build`: the services (tsc) and the dashboard (vite). */
import { ensureDashboard } from './dashboard.mjs';
import { checkNodeVersion, ensureInstalled, run, serviceNode, tscArguments, withNode } from './project.mjs';
import { runStage, Stop } from './say.mjs';

await runStage(async () => {
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  if ((await run(node, tscArguments(['-b']), withNode(node), 2)) !== 0) throw new Stop('the types do not check');
  await ensureDashboard(node);
  return 0;
});

// @ts-check
/** `npm run screenshots`: pictures of every screen, from a real local start in a real browser. */
import { join } from 'node:path';
import { ensureDashboard } from './dashboard.mjs';
import { CHROMIUM_HELP, ensureChromium, ensureRedis, REDIS_HELP } from './debian.mjs';
import { become, checkNodeVersion, ensureBuilt, ensureInstalled, projectRoot, serviceNode } from './project.mjs';
import { runStage, Stop } from './say.mjs';

await runStage(async () => {
  checkNodeVersion();
  await ensureInstalled();
  const node = serviceNode();
  await ensureBuilt(node);
  await ensureDashboard(node);
  if (!ensureRedis()) throw new Stop(REDIS_HELP);
  if (!ensureChromium()) throw new Stop(CHROMIUM_HELP.replace('tests in a browser are skipped', 'pictures need it'));
  const script = join(projectRoot, 'test', 'e2e', 'dashboard-screenshots.ts');
  return become(node, ['--conditions=tollgate-source', script]);
});

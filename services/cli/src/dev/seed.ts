/** What the first start makes through the console: a priced model, and an account with credit and a key. */
import type { DevState } from '../config.ts';
import type { ConsoleClient } from '../console-client.ts';
import { CliError } from '../output.ts';
import { DEV_EMBEDDING_MODEL, DEV_MAX_MODEL_LEN, DEV_MODEL } from './plan.ts';

/** USD per 1,000,000 tokens: near what the market asks for this model. */
const PRICE = { inputUsd: '0.10', cachedInputUsd: '0.02', outputUsd: '0.40' };
const EMBEDDING_PRICE = { inputUsd: '0.01', outputUsd: '0' };
const DEMO_CREDIT_USD = '10';

/** The models must be there before routers ask for the catalogue. Safe to repeat. */
export async function seedModels(client: ConsoleClient): Promise<void> {
  const { data } = await client.listModels();
  for (const [id, price] of [
    [DEV_MODEL, PRICE],
    [DEV_EMBEDDING_MODEL, EMBEDDING_PRICE],
  ] as const) {
    if (data.some((model) => model.id === id)) continue;
    await client.createModel({ id, maxModelLen: DEV_MAX_MODEL_LEN, price });
  }
}

/** The demo key: the remembered one while the console still knows it, else a new one in the admin's organisation. */
export async function seedKey(client: ConsoleClient, state: DevState): Promise<DevState> {
  if (state.apiKey && state.keyId && (await isUsable(client, state.keyId))) return state;
  // The console made this organisation when it made the admin: what the key does shows on their home page.
  const admins = await client.findAccounts(state.adminEmail);
  const created = await client.createKey({
    name: 'local start',
    ...(admins.data[0] ? { accountId: admins.data[0].accountId } : {}),
    creditUsd: DEMO_CREDIT_USD,
    allowGrammars: true,
  });
  return { ...state, accountId: created.accountId, keyId: created.keyId, apiKey: created.key };
}

async function isUsable(client: ConsoleClient, keyId: string): Promise<boolean> {
  try {
    return (await client.getKey(keyId)).revokedAt === null;
  } catch (error) {
    if (error instanceof CliError && error.code === 'not_found') return false;
    throw error;
  }
}

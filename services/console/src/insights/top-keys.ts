/** Who spends most. The console's own hourly keys of one organisation count as one: nobody knows them apart. */
import { OWN_KEY_NAME } from '../keys/own-name.ts';

export interface KeySpend {
  keyId: string;
  amountNusd: bigint;
}

/** The `most` largest, with their share of everything, 0 to 1 in steps of 0.0001. */
export function topKeys(spend: readonly KeySpend[], names: ReadonlyMap<string, string>, most: number) {
  const total = spend.reduce((sum, { amountNusd }) => sum + amountNusd, 0n);
  const merged: { keyId: string; name: string; amountNusd: bigint }[] = [];
  for (const { keyId, amountNusd } of spend) {
    const name = names.get(keyId) ?? keyId;
    const same = name === OWN_KEY_NAME ? merged.find((each) => each.name === name) : undefined;
    if (same) same.amountNusd += amountNusd;
    else merged.push({ keyId, name, amountNusd });
  }
  return merged
    .sort((a, b) => (b.amountNusd > a.amountNusd ? 1 : b.amountNusd < a.amountNusd ? -1 : 0))
    .slice(0, most)
    .map(({ keyId, name, amountNusd }) => ({
      keyId,
      name,
      share: total === 0n ? 0 : Number((amountNusd * 10_000n) / total) / 10_000,
    }));
}

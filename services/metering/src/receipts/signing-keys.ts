/**
 * Ed25519 keys that sign receipts. The newest whose private part opens signs; a new one is made when it is old, or when the
 * service token was changed (nothing opens then). Public parts are never deleted: old receipts stay verifiable.
 */
import { RECEIPT_TYPE } from '@tollgate/shared/contracts/receipt';
import type { ReceiptStore, SigningKeyRow } from '@tollgate/shared/db/receipt-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
import { deriveKey, openBytes, sealBytes } from '@tollgate/shared/runtime/seal';
import { CompactSign, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';

const ROTATE_AFTER_MS = 90 * 86_400_000;

export interface Signer {
  kid: string;
  createdAtMs: number;
  /** Compact JWS of a JSON text. */
  sign(payload: string): Promise<string>;
}

export interface SigningParts {
  serviceToken: string;
  clock: Clock;
  random: Random;
}

/** The key to sign with now; makes one when there is none fit. */
export async function currentSigner(store: ReceiptStore, parts: SigningParts): Promise<Signer> {
  const oldestMs = parts.clock.nowMs() - ROTATE_AFTER_MS;
  for (const row of await store.keys()) {
    if (row.createdAtMs < oldestMs) break;
    const privateJwk = open(row, parts.serviceToken);
    if (privateJwk !== null) return signerOf(row, privateJwk);
  }
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const publicJwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const privateJwk = await exportJWK(privateKey);
  const row: SigningKeyRow = {
    kid,
    publicJwk: { ...publicJwk, kid, use: 'sig', alg: 'EdDSA' },
    privateSealed: seal(JSON.stringify(privateJwk), kid, parts),
    createdAtMs: parts.clock.nowMs(),
  };
  await store.addKey(row);
  return signerOf(row, privateJwk);
}

async function signerOf({ kid, createdAtMs }: SigningKeyRow, privateJwk: JWK): Promise<Signer> {
  const key = await importJWK(privateJwk, 'EdDSA');
  return {
    kid,
    createdAtMs,
    sign: (payload) =>
      new CompactSign(new TextEncoder().encode(payload))
        .setProtectedHeader({ alg: 'EdDSA', kid, typ: RECEIPT_TYPE })
        .sign(key),
  };
}

const cipherKey = (serviceToken: string) => deriveKey(serviceToken, 'tollgate signing keys');

function seal(text: string, kid: string, { serviceToken, random }: SigningParts): string {
  return sealBytes(cipherKey(serviceToken), Buffer.from(text), kid, random).toString('base64');
}

function open({ kid, privateSealed }: SigningKeyRow, serviceToken: string): JWK | null {
  if (privateSealed === null) return null;
  try {
    const text = openBytes(cipherKey(serviceToken), Buffer.from(privateSealed, 'base64'), kid).toString('utf8');
    return JSON.parse(text) as JWK;
  } catch {
    // Sealed under another service token.
    return null;
  }
}

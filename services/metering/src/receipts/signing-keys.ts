/**
 * Ed25519 keys that sign receipts. The newest whose private part opens signs; a new one is made when it is old, or when the
 * service token was changed (nothing opens then). Public parts are never deleted: old receipts stay verifiable.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { RECEIPT_TYPE } from '@tollgate/shared/contracts/receipt';
import type { ReceiptStore, SigningKeyRow } from '@tollgate/shared/db/receipt-store';
import type { Clock } from '@tollgate/shared/runtime/clock';
import type { Random } from '@tollgate/shared/runtime/random';
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

const NONCE = 12;
const TAG = 16;

const cipherKey = (serviceToken: string) =>
  Buffer.from(hkdfSync('sha256', serviceToken, '', 'tollgate signing keys', 32));

function seal(text: string, kid: string, { serviceToken, random }: SigningParts): string {
  const nonce = random.bytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', cipherKey(serviceToken), nonce).setAAD(Buffer.from(kid));
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

function open({ kid, privateSealed }: SigningKeyRow, serviceToken: string): JWK | null {
  if (privateSealed === null) return null;
  const bytes = Buffer.from(privateSealed, 'base64');
  const end = bytes.length - TAG;
  try {
    const decipher = createDecipheriv('aes-256-gcm', cipherKey(serviceToken), bytes.subarray(0, NONCE), {
      authTagLength: TAG,
    });
    decipher.setAAD(Buffer.from(kid)).setAuthTag(bytes.subarray(end));
    return JSON.parse(
      Buffer.concat([decipher.update(bytes.subarray(NONCE, end)), decipher.final()]).toString('utf8'),
    ) as JWK;
  } catch {
    // Sealed under another service token.
    return null;
  }
}

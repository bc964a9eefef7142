import { accountParams } from '@tollgate/shared/contracts/console/accounts';
import { invoiceQuery, invoiceView, receiptsPage, receiptsQuery } from '@tollgate/shared/contracts/console/receipts';
import express, { type Router } from 'express';
import type { ReceiptService } from '../receipts/service.ts';
import { type Route, route } from './route.ts';

export function receiptRoutes(receipts: ReceiptService): Route[] {
  const common = { audience: 'account', tag: 'receipts', permission: 'credits:read', params: accountParams } as const;
  return [
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/receipts',
      operation: 'receipts.list',
      summary: 'The signed receipts of an account, oldest first',
      description: 'Each is a compact JWS that names the one before. Keys: /.well-known/jwks.json.',
      query: receiptsQuery,
      response: receiptsPage,
      handle: ({ params, query }) => receipts.chain(params.id, BigInt(query.after ?? '0'), query.limit),
    }),
    route({
      ...common,
      method: 'get',
      path: '/api/accounts/{id}/invoice',
      operation: 'receipts.invoice',
      summary: 'What an account was billed in a month, from the ledger',
      query: invoiceQuery,
      response: invoiceView,
      handle: ({ params, query }) => receipts.invoice(params.id, query.month),
    }),
  ];
}

/** Public keys of receipts, for anybody who was given one. */
export function keySetRoute(receipts: ReceiptService): Router {
  const router = express.Router();
  router.get('/.well-known/jwks.json', async (_request, response) => {
    response.locals.operation = 'receipts.keys';
    response.set('cache-control', 'public, max-age=300').type('application/jwk-set+json');
    response.send(JSON.stringify(await receipts.keySet()));
  });
  return router;
}

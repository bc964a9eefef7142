/** Every endpoint that generates. */
import { CHAT } from './chat.ts';
import { COMPLETIONS } from './completions.ts';
import { EMBEDDINGS } from './embeddings.ts';
import type { Endpoint, EndpointName } from './endpoint.ts';
import { MESSAGES } from './messages.ts';
import { RESPONSES } from './responses.ts';

export const ENDPOINTS: Readonly<Record<EndpointName, Endpoint>> = {
  '/chat/completions': CHAT,
  '/completions': COMPLETIONS,
  '/embeddings': EMBEDDINGS,
  '/responses': RESPONSES,
  '/messages': MESSAGES,
};

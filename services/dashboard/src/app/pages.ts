/** The signed-in pages: the one list behind the side bar, the palette and the keyboard help. */
import {
  Activity,
  BookOpen,
  Boxes,
  ChartColumn,
  CreditCard,
  Gauge,
  House,
  KeyRound,
  Library,
  type LucideIcon,
  ScrollText,
  ServerCog,
  Settings,
  ShieldCheck,
  SquareTerminal,
  Tags,
  Ticket,
  Users,
  Webhook,
} from 'lucide-react';

export interface PageLink {
  to: string;
  title: string;
  icon: LucideIcon;
  /** Further words by which the palette finds it. */
  words?: string;
}

export const MAIN_PAGES: readonly PageLink[] = [
  { to: '/', title: 'Home', icon: House, words: 'overview start guide' },
  { to: '/playground', title: 'Playground', icon: SquareTerminal, words: 'chat try schema' },
  { to: '/collections', title: 'Collections', icon: Library, words: 'documents files rag retrieval search upload' },
  { to: '/keys', title: 'API keys', icon: KeyRound, words: 'token secret rotate revoke' },
  { to: '/usage', title: 'Usage', icon: ChartColumn, words: 'spend tokens chart csv' },
  { to: '/requests', title: 'Requests', icon: Activity, words: 'log history errors' },
  { to: '/credits', title: 'Credits', icon: CreditCard, words: 'balance top up ledger billing payment' },
];
export const REFERENCE_PAGES: readonly PageLink[] = [
  { to: '/models', title: 'Models and prices', icon: Boxes, words: 'context cost' },
  { to: '/limits', title: 'Limits', icon: Gauge, words: 'rate rpm tpm concurrency' },
  { to: '/reference', title: 'API reference', icon: BookOpen, words: 'openapi docs swagger' },
];
export const ORGANISATION_PAGES: readonly PageLink[] = [
  {
    to: '/team',
    title: 'Team',
    icon: Users,
    words: 'members invitations roles projects organisation retention prompts',
  },
  { to: '/webhooks', title: 'Webhooks', icon: Webhook, words: 'events alerts deliveries' },
  {
    to: '/security',
    title: 'Your account',
    icon: ShieldCheck,
    words: 'password two-factor totp sessions tokens theme',
  },
];
/** Reached from other pages, and by the palette. */
export const FURTHER_PAGES: readonly PageLink[] = [
  { to: '/audit', title: 'Audit log of the organisation', icon: ScrollText, words: 'history changes who' },
];
export const ADMIN_PAGES: readonly PageLink[] = [
  { to: '/admin/fleet', title: 'Fleet', icon: ServerCog, words: 'workers gpu drain routers' },
  { to: '/admin/accounts', title: 'Accounts', icon: Users, words: 'customers freeze adjust search' },
  { to: '/admin/prices', title: 'Prices and plans', icon: Tags, words: 'models' },
  { to: '/admin/codes', title: 'Redemption codes', icon: Ticket, words: 'vouchers credit' },
  { to: '/admin/audit', title: 'Audit log', icon: ScrollText, words: 'history changes' },
  { to: '/admin/webhooks', title: 'Platform webhooks', icon: Webhook, words: 'worker down alerts' },
  { to: '/admin/settings', title: 'Settings', icon: Settings, words: 'sign up retention' },
];

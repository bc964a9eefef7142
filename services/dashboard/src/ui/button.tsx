/** Buttons, and links that look like them. */
import { Link, type LinkProps } from '@tanstack/react-router';
import type { ComponentProps, ReactNode } from 'react';

export type Look = 'primary' | 'secondary' | 'ghost' | 'danger';

const LOOKS: Record<Look, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-hover border-transparent shadow-sm',
  secondary: 'bg-surface text-text border-line-strong hover:bg-hover',
  ghost: 'bg-transparent text-muted border-transparent hover:bg-hover hover:text-text',
  danger: 'bg-bad text-surface border-transparent hover:opacity-90',
};

export const buttonClass = (look: Look, square = false) =>
  `tap ${square ? 'tap-square w-9 justify-center' : 'px-3'} inline-flex items-center justify-center gap-1.5 rounded-lg border text-sm font-medium whitespace-nowrap select-none transition-colors disabled:opacity-55 ${LOOKS[look]}`;

interface ButtonProps extends ComponentProps<'button'> {
  look?: Look;
  /** True while what it started is under way: disabled, and it says so. */
  pending?: boolean;
  /** Only an icon: give it an aria-label. */
  square?: boolean;
  icon?: ReactNode;
}

export function Button({ look = 'secondary', pending, square, icon, children, className, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      disabled={rest.disabled || pending}
      aria-busy={pending || undefined}
      className={`${buttonClass(look, square)} ${className ?? ''}`}
    >
      {pending ? <Spinner /> : icon}
      {children}
    </button>
  );
}

export function Spinner() {
  return (
    <span
      aria-hidden="true"
      className="inline-block size-3.5 animate-spin rounded-full border-2 border-current border-r-transparent"
    />
  );
}

interface ButtonLinkProps extends Omit<ComponentProps<'a'>, 'href'> {
  to: string;
  search?: object;
  params?: Record<string, string>;
  look?: Look;
}

/** A link that looks like a button. Where it leads may come from a table, so its address is any text. */
export function ButtonLink({ look = 'secondary', className, to, search, params, ...rest }: ButtonLinkProps) {
  const address = { to, ...(search ? { search } : {}), ...(params ? { params } : {}) } as LinkProps;
  return <Link {...rest} {...address} className={`${buttonClass(look)} ${className ?? ''}`} />;
}

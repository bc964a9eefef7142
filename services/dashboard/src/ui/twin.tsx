/** The figures of a drawing, for those who cannot see it or want them exact. Closed at first. */
import { ChevronDown } from 'lucide-react';
import type { ReactNode } from 'react';

export function Twin({ children }: { children: ReactNode }) {
  return (
    <details className="mt-2">
      <summary className="tap inline-flex items-center gap-1 text-sm text-muted hover:text-text">
        In figures <ChevronDown size={14} aria-hidden="true" />
      </summary>
      <div className="mt-1">{children}</div>
    </details>
  );
}

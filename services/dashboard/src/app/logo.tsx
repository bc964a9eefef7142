/** A barrier, raised. */
export function Logo({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0b6e66" />
      <path d="M8 25V11" stroke="#fff" strokeWidth="3.4" strokeLinecap="round" />
      <path d="M8 12.5 25 8" stroke="#ffd27a" strokeWidth="3.4" strokeLinecap="round" />
      <path d="M5 25h6" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
    </svg>
  );
}

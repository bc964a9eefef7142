/** A line without axes beside its newest figure (who shows it gives the rest in a table); drawn by hand, so the first page loads no chart library. */

const WIDTH = 120;
const HEIGHT = 32;
/** Room at both ends, so that a single point at the edge is a whole dot. */
const INSET = 2;

/** Points of the line; null values leave a gap. */
export function sparkPath(values: readonly (number | null)[]): string {
  const known = values.filter((value): value is number => value !== null);
  const max = Math.max(...known, 0);
  const step = values.length > 1 ? (WIDTH - 2 * INSET) / (values.length - 1) : 0;
  let path = '';
  let drawing = false;
  values.forEach((value, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const y = HEIGHT - 2 - (max === 0 ? 0 : (value / max) * (HEIGHT - 5));
    const place = `${(INSET + index * step).toFixed(1)} ${y.toFixed(1)}`;
    // A point without neighbours is a dot, not nothing.
    path += drawing ? `L${place}` : `M${place}h0`;
    drawing = true;
  });
  return path;
}

export function Sparkline({
  values,
  tone = 'accent',
}: {
  values: readonly (number | null)[];
  tone?: 'accent' | 'bad';
}) {
  const path = sparkPath(values);
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
      className={`h-8 w-full ${tone === 'bad' ? 'text-bad' : 'text-accent'}`}
    >
      <path
        d={path}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        vectorEffect="non-scaling-stroke"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
    </svg>
  );
}

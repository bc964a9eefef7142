/** A few choices of which one is on: as real radio buttons, so keys and listeners know them. */
import { useId } from 'react';

interface SegmentsProps<T extends string> {
  label: string;
  options: readonly { value: T; label: string }[];
  value: T;
  onChange(value: T): void;
}

export function Segments<T extends string>({ label, options, value, onChange }: SegmentsProps<T>) {
  const name = useId();
  return (
    <fieldset className="inline-flex self-start rounded-lg border border-line bg-sunken p-0.5">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          className={`tap inline-flex cursor-pointer items-center rounded-md px-2.5 text-sm has-focus-visible:outline-2 has-focus-visible:outline-accent ${
            option.value === value ? 'bg-surface font-medium shadow-sm' : 'text-muted hover:text-text'
          }`}
        >
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
            className="sr-only"
          />
          {option.label}
        </label>
      ))}
    </fieldset>
  );
}

/** A text editor for queries and documents: line numbers, faults marked where they are, completion of words. */
import { type KeyboardEvent, useId, useMemo, useRef, useState } from 'react';

export interface Fault {
  /** From 1. */
  line: number;
  column: number;
  message: string;
}

export interface EditorProps {
  value: string;
  change: (value: string) => void;
  label: string;
  faults?: Fault[];
  numbers?: boolean;
  rows?: number;
  placeholder?: string;
  /** Words that could stand where `word` does. */
  complete?: (word: string) => string[];
  /** Enter in a query, ⌘ enter in a document. */
  submit?: () => void;
  readOnly?: boolean;
}

/** The word that ends at `at`, as far as completion cares. */
export function wordAt(text: string, at: number): { word: string; from: number } {
  let from = at;
  while (from > 0 && /[A-Za-z0-9_:]/.test(text[from - 1] ?? '')) from--;
  return { word: text.slice(from, at), from };
}

/** Text cut into plain and marked parts; a fault marks its word, or at least one place. */
export function marked(text: string, faults: Fault[]): { text: string; bad: boolean }[] {
  const lines = text.split('\n');
  const starts: number[] = [];
  let sum = 0;
  for (const line of lines) {
    starts.push(sum);
    sum += line.length + 1;
  }
  const spots = faults
    .map((f) => Math.min(text.length, (starts[f.line - 1] ?? text.length) + f.column - 1))
    .sort((a, b) => a - b);
  const parts: { text: string; bad: boolean }[] = [];
  let at = 0;
  for (const spot of spots) {
    if (spot < at) continue;
    parts.push({ text: text.slice(at, spot), bad: false });
    const word = /^[^\s(){}[\],]+/.exec(text.slice(spot))?.[0] ?? ' ';
    parts.push({ text: text.slice(spot, spot + word.length) || ' ', bad: true });
    at = spot + word.length;
  }
  parts.push({ text: text.slice(at), bad: false });
  return parts;
}

export function Editor(props: EditorProps) {
  const { value, change, faults = [], numbers, complete } = props;
  const list = useId();
  const area = useRef<HTMLTextAreaElement>(null);
  const [offers, setOffers] = useState<string[]>([]);
  const [chosen, setChosen] = useState(0);
  const parts = useMemo(() => marked(value, faults), [value, faults]);
  const lines = value.split('\n').length;
  const bad = new Set(faults.map((f) => f.line));

  const offer = (text: string, at: number) => {
    const { word } = wordAt(text, at);
    setOffers(
      word.length > 1 && complete
        ? complete(word)
            .filter((o) => o !== word)
            .slice(0, 8)
        : [],
    );
    setChosen(0);
  };
  const take = (text: string) => {
    const at = area.current?.selectionStart ?? value.length;
    const { from } = wordAt(value, at);
    change(value.slice(0, from) + text + value.slice(at));
    setOffers([]);
    window.requestAnimationFrame(() => area.current?.setSelectionRange(from + text.length, from + text.length));
  };
  const press = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (offers.length > 0) {
      if (event.key === 'ArrowDown') setChosen((chosen + 1) % offers.length);
      else if (event.key === 'ArrowUp') setChosen((chosen + offers.length - 1) % offers.length);
      else if (event.key === 'Enter' || event.key === 'Tab') take(offers[chosen] ?? '');
      else if (event.key === 'Escape') setOffers([]);
      else return;
      event.preventDefault();
    } else if (event.key === 'Enter' && (numbers ? event.metaKey || event.ctrlKey : !event.shiftKey)) {
      event.preventDefault();
      props.submit?.();
    }
  };
  return (
    <div className="editor" data-numbers={numbers || undefined}>
      {numbers && (
        <div className="gutter" aria-hidden="true">
          {Array.from({ length: lines }, (_, i) => (
            <div key={i} className={bad.has(i + 1) ? 'bad' : undefined}>
              {i + 1}
            </div>
          ))}
        </div>
      )}
      <div className="page">
        <pre aria-hidden="true">
          {parts.map((part, i) => (part.bad ? <u key={i}>{part.text}</u> : <span key={i}>{part.text}</span>))}
          {'\n'}
        </pre>
        <textarea
          ref={area}
          aria-label={props.label}
          aria-invalid={faults.length > 0 || undefined}
          aria-controls={offers.length > 0 ? list : undefined}
          aria-activedescendant={offers.length > 0 ? `${list}-${chosen}` : undefined}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
          rows={Math.max(props.rows ?? 1, lines)}
          placeholder={props.placeholder}
          value={value}
          readOnly={props.readOnly}
          onChange={(event) => {
            change(event.currentTarget.value);
            offer(event.currentTarget.value, event.currentTarget.selectionStart);
          }}
          onKeyDown={press}
          onBlur={() => window.setTimeout(() => setOffers([]), 150)}
        />
        {offers.length > 0 && (
          <div id={list} role="listbox" aria-label="Completions" className="offers">
            {offers.map((text, i) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are handled by the field
              <div
                key={text}
                id={`${list}-${i}`}
                role="option"
                tabIndex={-1}
                aria-selected={i === chosen}
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => take(text)}
              >
                {text}
              </div>
            ))}
          </div>
        )}
      </div>
    </div>
  );
}

export function Faults({ faults }: { faults: Fault[] }) {
  if (faults.length === 0) return null;
  return (
    <ul className="faults" aria-label="Faults" aria-live="polite">
      {faults.map((fault) => (
        <li key={`${fault.line}:${fault.column}:${fault.message}`}>
          <span className="mono">
            {fault.line}:{fault.column}
          </span>{' '}
          {fault.message}
        </li>
      ))}
    </ul>
  );
}

/** Copying, and a command to be copied. */
import { useState } from 'react';

async function copy(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // Without a secure context there is no clipboard; an old selection copy still works.
    const area = document.createElement('textarea');
    area.value = value;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

export function CopyButton({ value, label = 'Copy', text }: { value: string; label?: string; text?: string }) {
  const [done, setDone] = useState(false);
  const click = async () => {
    setDone(await copy(value));
    window.setTimeout(() => setDone(false), 1500);
  };
  return (
    <button
      type="button"
      className="plain link small"
      aria-label={label}
      onClick={() => void click()}
      style={{ minHeight: 24, minWidth: 24 }}
    >
      {done ? 'Copied' : (text ?? 'Copy')}
    </button>
  );
}

export function Command({ value }: { value: string }) {
  return (
    <div style={{ position: 'relative' }}>
      <pre className="code" style={{ paddingRight: 64 }}>
        {value}
      </pre>
      <span style={{ position: 'absolute', right: 12, top: 8 }}>
        <CopyButton value={value} label="Copy the command" />
      </span>
    </div>
  );
}

/** Keyboard verbs: single keys and two-key walks (`g i`), silent while one types. */
import { useEffect, useRef } from 'react';

export type Keys = Record<string, () => void>;

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function keysOff(): boolean {
  try {
    return localStorage.getItem('mainstay.keys') === 'off';
  } catch {
    return false;
  }
}

/** What a key press means, given the prefix pressed before it. */
export function meaning(keys: Keys, prefix: string, key: string): { run?: () => void; prefix: string } {
  const whole = prefix ? `${prefix} ${key}` : key;
  if (keys[whole]) return { run: keys[whole], prefix: '' };
  const leads = Object.keys(keys).some((k) => k.startsWith(`${whole} `));
  return { prefix: leads ? whole : '' };
}

export function useKeys(keys: Keys) {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    let prefix = '';
    let timer: number | undefined;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || keysOff()) return;
      if (document.querySelector('[role="dialog"]') && event.key !== 'Escape') return;
      const found = meaning(current.current, prefix, event.key);
      prefix = found.prefix;
      window.clearTimeout(timer);
      timer = window.setTimeout(() => {
        prefix = '';
      }, 900);
      if (found.run) {
        event.preventDefault();
        found.run();
      }
    };
    window.addEventListener('keydown', press);
    return () => {
      window.removeEventListener('keydown', press);
      window.clearTimeout(timer);
    };
  }, []);
}

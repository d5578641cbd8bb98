/** Our tokens as Mantine's theme, and the choice between light, dark and the system's wish. */
import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core';
import { useSyncExternalStore } from 'react';

const flat = (name: string) => Array.from({ length: 10 }, () => `var(${name})`) as unknown as MantineColorsTuple;

export const theme = createTheme({
  fontFamily: 'var(--font)',
  fontFamilyMonospace: 'var(--mono)',
  primaryColor: 'accent',
  primaryShade: 6,
  colors: { accent: flat('--accent') },
  defaultRadius: 7,
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontSizes: { xs: '12px', sm: '13px', md: '13px', lg: '14px', xl: '16px' },
  components: {
    Button: { defaultProps: { size: 'xs' } },
    Modal: {
      defaultProps: { centered: true, transitionProps: { duration: 100 }, overlayProps: { backgroundOpacity: 0.35 } },
    },
    Drawer: { defaultProps: { transitionProps: { duration: 120 }, overlayProps: { backgroundOpacity: 0.18 } } },
    Tooltip: { defaultProps: { openDelay: 250, transitionProps: { duration: 80 }, multiline: true } },
    Select: { defaultProps: { checkIconPosition: 'right', allowDeselect: false } },
  },
});

const shared = {
  '--mantine-color-body': 'var(--bg)',
  '--mantine-color-text': 'var(--text)',
  '--mantine-color-dimmed': 'var(--muted)',
  '--mantine-color-placeholder': 'var(--faint)',
  '--mantine-color-default': 'var(--surface)',
  '--mantine-color-default-border': 'var(--line-strong)',
  '--mantine-color-error': 'var(--critical)',
  '--mantine-color-anchor': 'var(--accent)',
};
export const variables: CSSVariablesResolver = () => ({ variables: {}, light: shared, dark: shared });

export type Scheme = 'light' | 'dark' | 'auto';
const KEY = 'mainstay.theme';
const system = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function chosen(): Scheme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'auto';
  } catch {
    return 'auto';
  }
}

export function effective(scheme: Scheme = chosen()): 'light' | 'dark' {
  return scheme === 'auto' ? (system.matches ? 'dark' : 'light') : scheme;
}

function apply() {
  const root = document.documentElement;
  root.dataset.theme = effective();
  root.dataset.mantineColorScheme = effective();
  for (const listener of listeners) listener();
}

system.addEventListener('change', apply);

export function choose(scheme: Scheme) {
  try {
    if (scheme === 'auto') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, scheme);
  } catch {
    // Without storage the choice cannot be kept; the system's wish holds.
  }
  apply();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** The chosen scheme and the one in force. */
export function useScheme(): { chosen: Scheme; shown: 'light' | 'dark' } {
  const text = useSyncExternalStore(subscribe, () => `${chosen()}/${effective()}`);
  const [a, b] = text.split('/');
  return { chosen: a as Scheme, shown: b as 'light' | 'dark' };
}

/** State that lives in the address, so that a pasted link shows the same page. */
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';

type Params = Record<string, unknown>;

/** One value of the query string; the default is left out of the address. */
export function useParam(name: string, otherwise = ''): [string, (value: string) => void] {
  const search = useSearch({ strict: false }) as Params;
  const navigate = useNavigate();
  const raw = search[name];
  const value = raw === undefined || raw === null ? otherwise : String(raw);
  const set = useCallback(
    (next: string) => {
      void navigate({
        to: '.',
        replace: true,
        resetScroll: false,
        search: ((old: Params) => ({ ...old, [name]: next === otherwise ? undefined : next })) as never,
      });
    },
    [navigate, name, otherwise],
  );
  return [value, set];
}

export function useParams(): [Params, (next: Params) => void] {
  const search = useSearch({ strict: false }) as Params;
  const navigate = useNavigate();
  const set = useCallback(
    (next: Params) => {
      void navigate({
        to: '.',
        replace: true,
        resetScroll: false,
        search: ((old: Params) => ({ ...old, ...next })) as never,
      });
    },
    [navigate],
  );
  return [search, set];
}

/** A run as it goes, and the output of its commands; few connections at a time, for a browser has only six to a server. */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { type Run, runKey } from './automation';

/** Keeps the query of a run current while it goes. */
export function useRunStream(id: string, live: boolean) {
  const queries = useQueryClient();
  useEffect(() => {
    if (!live) return;
    const source = new EventSource(`/api/v1/runs/${id}/stream`);
    const take = (message: MessageEvent<string>) => queries.setQueryData(runKey(id), JSON.parse(message.data) as Run);
    source.addEventListener('run', take as EventListener);
    return () => source.close();
  }, [id, live, queries]);
}

export interface Output {
  text: string;
  isOver: boolean;
}

const MOST = 2;
let busy = 0;
const queue: (() => void)[] = [];

function enter(start: () => void): () => void {
  if (busy < MOST) {
    busy++;
    start();
  } else queue.push(start);
  let left = false;
  return () => {
    const waiting = queue.indexOf(start);
    if (waiting >= 0) {
      queue.splice(waiting, 1);
      return;
    }
    if (left) return;
    left = true;
    const next = queue.shift();
    if (next) next();
    else busy--;
  };
}

/** Keeps the end of what is long: a page is no place for a hundred thousand lines. */
const LONGEST = 200_000;

/** The output of a command from its beginning and as it comes. */
export function useCommandOutput(id: string | null, wanted: boolean): Output {
  const [output, setOutput] = useState<Output>({ text: '', isOver: false });
  useEffect(() => {
    if (!id || !wanted) return;
    let source: EventSource | null = null;
    let text = '';
    const leave = enter(() => {
      source = new EventSource(`/api/v1/commands/${id}/output`);
      source.addEventListener('output', ((message: MessageEvent<string>) => {
        text = (text + (JSON.parse(message.data) as { text: string }).text).slice(-LONGEST);
        setOutput({ text, isOver: false });
      }) as EventListener);
      source.addEventListener('end', () => {
        source?.close();
        setOutput({ text, isOver: true });
        leave();
      });
    });
    return () => {
      source?.close();
      leave();
    };
  }, [id, wanted]);
  return output;
}

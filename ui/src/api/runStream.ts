/** The live output of a run: chunks by step and target, until it is over. */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

interface Chunk {
  step: number;
  item_id?: string | null;
  text: string;
}

export function useRunStream(id: string, live: boolean): Map<string, string> {
  const queries = useQueryClient();
  const [output, setOutput] = useState<Map<string, string>>(new Map());
  useEffect(() => {
    if (!live) return;
    const source = new EventSource(`/api/v1/runs/${id}/stream`);
    setOutput(new Map());
    const take = (message: MessageEvent<string>) => {
      const chunk = JSON.parse(message.data) as Chunk;
      setOutput((old) => {
        const key = `${chunk.step}/${chunk.item_id ?? ''}`;
        return new Map(old).set(key, (old.get(key) ?? '') + chunk.text);
      });
    };
    const changed = () => void queries.invalidateQueries({ queryKey: ['runs', 'one', id] });
    source.addEventListener('output', take as EventListener);
    source.addEventListener('state', changed);
    return () => source.close();
  }, [id, live, queries]);
  return output;
}

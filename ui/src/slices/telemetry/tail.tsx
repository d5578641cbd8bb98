/** The live tail: it can be held, and says what a slow reader missed. */
import { useEffect, useRef, useState } from 'react';
import { type LogLine, tailLogs } from '@/api/telemetry';
import { Action } from '@/parts/action';
import { Card } from '@/parts/card';
import { LogView, wordsOf } from '@/parts/logview';
import { Empty } from '@/parts/states';
import { StatusBadge } from '@/parts/status';

const KEEP = 500;

export function Tail({ q }: { q: string }) {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [live, setLive] = useState(false);
  const [dropped, setDropped] = useState(0);
  const [held, setHeld] = useState(false);
  const [waiting, setWaiting] = useState(0);
  const queue = useRef<LogLine[]>([]);
  const isHeld = useRef(held);
  isHeld.current = held;

  useEffect(() => {
    setLines([]);
    queue.current = [];
    const flush = window.setInterval(() => {
      if (queue.current.length === 0) return;
      if (isHeld.current) {
        queue.current = queue.current.slice(-KEEP);
        setWaiting(queue.current.length);
        return;
      }
      const come = queue.current.reverse();
      queue.current = [];
      setWaiting(0);
      setLines((old) => [...come, ...old].slice(0, KEEP));
    }, 250);
    const stop = tailLogs(q, { line: (line) => queue.current.push(line), live: setLive, dropped: setDropped });
    return () => {
      stop();
      window.clearInterval(flush);
    };
  }, [q]);

  return (
    <div className="below">
      <Card
        title="Live tail"
        flush
        aside={
          <span className="row">
            {dropped > 0 && <StatusBadge status="warning">{dropped} dropped</StatusBadge>}
            {waiting > 0 && <span>{waiting} new</span>}
            <StatusBadge status={held ? 'maintenance' : live ? 'ok' : 'warning'}>
              {held ? 'Paused' : live ? 'Live' : 'Connecting'}
            </StatusBadge>
            <Action onClick={() => setHeld(!held)}>{held ? 'Resume' : 'Pause'}</Action>
          </span>
        }
      >
        {lines.length === 0 ? (
          <Empty title="Waiting for log lines">
            {q ? 'Only lines that match the search are shown.' : 'Every line that agents send appears here.'}
          </Empty>
        ) : (
          <LogView lines={lines} words={wordsOf(q)} />
        )}
      </Card>
    </div>
  );
}

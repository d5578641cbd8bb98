/** A host's log lines, newest first, and the way to search them all. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { logsQuery } from '@/api/telemetry';
import { Card } from '@/parts/card';
import { LogView, wordsOf } from '@/parts/logview';
import { Empty, Shown } from '@/parts/states';
import { useParam } from '@/parts/url';

export function HostLogs({ host }: { host: string }) {
  const [words, setWords] = useParam('q');
  const q = [`host:${JSON.stringify(host)}`, words].filter(Boolean).join(' ');
  const logs = useQuery(logsQuery({ q, span: 3600, limit: 300 }, 3000));
  return (
    <div className="below">
      <Card
        title="Logs, last hour"
        flush
        aside={
          <span className="row">
            <TextInput
              data-filter
              aria-label="Search log lines"
              placeholder="Words, severity:error…"
              value={words}
              onChange={(e) => setWords(e.currentTarget.value)}
              w={220}
            />
            <Link to="/logs" search={{ q } as never} className="link nowrap">
              Open in Logs
            </Link>
          </span>
        }
      >
        <Shown
          query={logs}
          what="Logs"
          empty={{
            when: (p) => p.items.length === 0,
            show: (
              <Empty title="No log lines in the last hour">
                Widen the search in Logs, or check under Admin, Agents, which files the agent follows.
              </Empty>
            ),
          }}
        >
          {(page) => <LogView lines={page.items} words={wordsOf(words)} host={false} />}
        </Shown>
      </Card>
    </div>
  );
}
